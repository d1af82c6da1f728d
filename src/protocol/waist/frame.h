// SPDX-License-Identifier: Apache-2.0
// The narrow waist: every command that a client can give a worker, and every completion that comes back.
//
//   client ──[FrameHeader | command]──▶ command ring ──▶ worker ──▶ driver
//   client ◀──────────── completion ring ◀──[FrameHeader | completion]── worker
//
// Rules.
// - Objects are named by 64-bit ids that the *client* makes (ObjectId): creation needs no answer to be used by the next
//   command. The low half is a slot below kMaxObjects, the high half a generation, so a stale id is never a live one.
// - A command with `call` ≠ 0 in its header wants exactly one Reply with that number, which carries the driver's verdict on
//   the *call* (not on the execution). Creations ask for one: the driver itself is the validator, its code comes back word
//   for word. Enqueues ask for none unless the front door could not check them itself.
// - Commands are taken in the ring's order. Execution order is what streams, wait lists and barriers say.
// - An enqueue that names an event gets exactly one EventDone, also if the driver refused it (then status < 0).
// - Enqueues count up per stream from 1 in ring order (refused ones too); StreamRetired and EventDone carry that number.
// - Data above a few KiB never travels in a frame: it lies in the heap (session_memory.h) and a BulkRef names it.
// - Numbers of flags, formats, properties and query parameters are the Khronos enumerants; another front door maps to them.
// - Adding a field at a message's end is compatible; anything else raises kWireVersion.
//
// Formats: FrameHeader is 16 bytes, frames are padded to 16. Threads: plain values; views point into the decoded frame.
#pragma once

#include <cstdint>

namespace amalgam::protocol {

inline constexpr uint32_t kWireVersion = 2;

using ObjectId = uint64_t;
inline constexpr uint32_t slot_of(ObjectId id) { return static_cast<uint32_t>(id); }
inline constexpr ObjectId make_id(uint32_t slot, uint32_t generation) {
  return (static_cast<uint64_t>(generation) << 32) | slot;
}

struct FrameHeader {
  uint32_t size = 0;  ///< of header and payload, without padding; 0 marks the skip to the ring's start
  uint16_t type = 0;  ///< CommandType or CompletionType
  uint16_t reserved = 0;
  uint32_t call = 0;  ///< ≠ 0: a Reply with this number is wanted (commands) or is this (replies)
  uint32_t reserved2 = 0;
};
static_assert(sizeof(FrameHeader) == 16);

/// Bytes in the session's heap.
struct BulkRef {
  uint64_t offset = 0;
  uint64_t size = 0;
  template <typename A>
  void fields(A& a) {
    a(offset, size);
  }
};

enum class CommandType : uint16_t {
  kHello = 1,
  kOpenDevice = 10,
  kCreateSubDevices,
  kCreateContext,
  kCreateStream,
  kCreateRegion,
  kCreateSubRegion,
  kCreateImage,
  kCreateSampler,
  kCreateUserEvent,
  kCreateModule = 30,
  kBuildModule,
  kCompileModule,
  kLinkModule,
  kSetSpecConstant,
  kCreateKernel,
  kCloneKernel,
  kSetArg,
  kSetKernelExecInfo,
  kQuery = 50,
  kRelease,
  kSignalEvent,
  kWatchEvent,
  kLaunch = 70,
  kTransfer,
  kFill,
  kMarker,
  kMigrate,
  kGate,
  kNotify,
};

enum class CompletionType : uint16_t {
  kReply = 1,
  kEventDone,
  kEventStatus,
  kGateReady,
  kStreamRetired,
  kOutput,
  kFault,
};

}  // namespace amalgam::protocol
