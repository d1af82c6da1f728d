// SPDX-License-Identifier: Apache-2.0
// Carry: bytes between the program's memory and what lies on the device, in pieces through the heap's staging. While the
// device moves one piece this process copies the next.
//
//   write:  program ──copy──▶ staging ──Transfer──▶ device        read:  device ──Transfer──▶ staging ──copy──▶ program
//
// The program's bytes are taken and given in the queue's order: a write may send what a read before it has brought, or what
// the program puts there before it lets a user event go. Four ways, by who may wait for what:
//
//   blocking write   waits for its turn, then pieces in the queue itself
//   blocking read    pieces in the queue itself, which wait for what the call waits for
//   small, not blocking: one transfer, with its copy at once or behind a gate; if there is staging for it now
//   else             a gate in the queue; when its turn has come the pieces go through a stream of the queue's own
//
// Theory. Staging is bounded, and a call must not wait for room that only the same program can make, by ending a user event
// say. So what may stay behind such an event takes staging from one half only, and takes another way where that is full; all
// others hold staging only while they move, and wait for a first block but not for more.
//
// Threads: as every entry point.
#pragma once

#include <functional>
#include <memory>

#include "north/opencl/enqueue.h"

namespace amalgam::opencl {

/// In pieces of what size a transfer of `size` bytes goes: small ones whole.
size_t piece_bytes(size_t size);

/// A staging block of `size`; waits until others have moved on. Not ok(): the session is dead, or so much never fits.
client::StagedBlock take_staging(client::Session& session, size_t size);

/// What is to be carried. Copyable, and valid until the command's event ends.
struct Carry {
  bool reads = false;
  bool checked = false;  ///< the driver judges the first piece before the call returns
  size_t pieces = 0;
  std::function<size_t(size_t piece)> bytes;                                       ///< in staging
  std::function<void(size_t piece, std::byte* block)> copy;                        ///< to the block, or from it
  std::function<protocol::Transfer(size_t piece, uint64_t heap_offset)> transfer;  ///< without its head
};

/// The command as a whole, with its place in the queue.
struct CarryCommand {
  cl_command_queue queue;
  cl_command_type type;
  bool blocking;
  cl_uint count;  ///< what the program's call waits for
  const cl_event* events;
  /// To memory of the program that may be read-only if nothing has changed.
  bool maps() const { return type == CL_COMMAND_MAP_BUFFER || type == CL_COMMAND_MAP_IMAGE; }
};

cl_int carry(const CarryCommand& command, WaitList& waits, const std::shared_ptr<const Carry>& what, cl_event* event);

/// Where pieces go, and whose their events are.
struct Lane {
  cl_context context;
  cl_command_queue queue;  ///< null: nobody sees the events
  cl_command_type type;
  client::Stream& stream;
};
/// All pieces, the first ones after `waits`; returns when all have ended. The last one's event goes to *out if that is not
/// null.
cl_int pump(const Lane& lane, const WaitList& waits, const Carry& what, cl_event* out);
/// To a new memory object, which nobody uses yet.
cl_int carry_content(cl_mem mem, const Carry& what);

}  // namespace amalgam::opencl
