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

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "protocol/codec.h"

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

// ---- session ------------------------------------------------------------------------------------------------------------

/// First command of a session. The client has reserved the heap's whole range at `heap_base` and asks the worker to map the
/// heap at the same address, so that a region has one address on both sides. Reply payload: HelloReply.
struct Hello {
  static constexpr CommandType kType = CommandType::kHello;
  uint32_t version = kWireVersion;
  uint64_t heap_base = 0;
  template <typename A>
  void fields(A& a) {
    a(version, heap_base);
  }
};
struct HelloReply {
  bool same_address = false;  ///< false: the range is taken in the worker; try another base with a further Hello
  template <typename A>
  void fields(A& a) {
    a(same_address);
  }
};

// ---- objects ------------------------------------------------------------------------------------------------------------

/// Names the slice's device number `index` (order of SessionOpened.devices).
struct OpenDevice {
  static constexpr CommandType kType = CommandType::kOpenDevice;
  ObjectId id = 0;
  uint32_t index = 0;
  template <typename A>
  void fields(A& a) {
    a(id, index);
  }
};

/// Partitions a device. With no ids it only counts. Reply payload: CountReply.
struct CreateSubDevices {
  static constexpr CommandType kType = CommandType::kCreateSubDevices;
  ObjectId device = 0;
  std::span<const int64_t> properties;  ///< cl_device_partition_property list with its 0
  std::span<const ObjectId> ids;        ///< as many as the partition yields
  template <typename A>
  void fields(A& a) {
    a(device, properties, ids);
  }
};
struct CountReply {
  uint32_t count = 0;
  template <typename A>
  void fields(A& a) {
    a(count);
  }
};

struct CreateContext {
  static constexpr CommandType kType = CommandType::kCreateContext;
  ObjectId id = 0;
  std::span<const ObjectId> devices;    ///< of one driver
  std::span<const int64_t> properties;  ///< without CL_CONTEXT_PLATFORM; empty or with its 0
  template <typename A>
  void fields(A& a) {
    a(id, devices, properties);
  }
};

struct CreateStream {
  static constexpr CommandType kType = CommandType::kCreateStream;
  ObjectId id = 0;
  ObjectId context = 0;
  ObjectId device = 0;
  std::span<const uint64_t> properties;  ///< cl_queue_properties list with its 0, or empty
  template <typename A>
  void fields(A& a) {
    a(id, context, device, properties);
  }
};

enum class RegionUse : uint8_t { kBuffer = 0, kSvm = 1 };

/// Reserves quota, then memory. Reply payload: RegionReply. Over quota: Code::kOutOfMemory, native
/// CL_MEM_OBJECT_ALLOCATION_FAILURE.
struct CreateRegion {
  static constexpr CommandType kType = CommandType::kCreateRegion;
  ObjectId id = 0;
  ObjectId context = 0;
  RegionUse use = RegionUse::kBuffer;
  uint64_t flags = 0;  ///< cl_mem_flags of the program; the worker adds and removes the host-pointer ones
  uint64_t size = 0;
  uint32_t alignment = 0;  ///< SVM: what the program asked for; 0 is the device's own
  /// kBuffer: ≠ 0 names a live kSvm region. The new region *is* that one's bytes from `over_offset` on, and keeps it alive;
  /// it takes neither quota nor heap of its own.
  ObjectId over = 0;
  uint64_t over_offset = 0;
  template <typename A>
  void fields(A& a) {
    a(id, context, use, flags, size, alignment, over, over_offset);
  }
};
struct RegionReply {
  /// Where the region's bytes (kShared) or its staging shadow for maps (kStaged) lie in the heap; the range is as large as
  /// the region, page-aligned if it is a page or more, and its own until Release has been executed.
  uint64_t heap_offset = 0;
  uint8_t residency = 0;  ///< model::Residency
  uint64_t size = 0;      ///< bytes of that range (images: rows and slices tightly packed)
  template <typename A>
  void fields(A& a) {
    a(heap_offset, residency, size);
  }
};

struct CreateSubRegion {
  static constexpr CommandType kType = CommandType::kCreateSubRegion;
  ObjectId id = 0;
  ObjectId parent = 0;
  uint64_t flags = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
  template <typename A>
  void fields(A& a) {
    a(id, parent, flags, offset, size);
  }
};

/// Images always reach the client through staging. Reply payload: ImageReply.
struct CreateImage {
  static constexpr CommandType kType = CommandType::kCreateImage;
  ObjectId id = 0;
  ObjectId context = 0;
  uint64_t flags = 0;  ///< without host-pointer flags
  uint32_t channel_order = 0, channel_type = 0, image_type = 0;
  uint64_t width = 0, height = 0, depth = 0, array_size = 0, row_pitch = 0, slice_pitch = 0;
  uint32_t mip_levels = 0, samples = 0;
  ObjectId buffer = 0;  ///< image made from a region, or 0
  BulkRef host_data;    ///< initial content with row_pitch and slice_pitch as given (0: packed); size 0: none
  template <typename A>
  void fields(A& a) {
    a(id, context, flags, channel_order, channel_type, image_type, width, height, depth, array_size, row_pitch, slice_pitch,
      mip_levels, samples, buffer, host_data);
  }
};

/// What the driver says of an image (clGetImageInfo, CL_MEM_SIZE): drivers differ in dimensions that the type lacks (0 or 1)
/// and in pitches. 0 is also what it refuses to say. Nothing of it changes while the image lives.
struct ImageFacts {
  uint64_t element_size = 0, height = 0, depth = 0, array_size = 0, row_pitch = 0, slice_pitch = 0, bytes = 0;
  template <typename A>
  void fields(A& a) {
    a(element_size, height, depth, array_size, row_pitch, slice_pitch, bytes);
  }
};
struct ImageReply {
  RegionReply place;
  ImageFacts facts;
  template <typename A>
  void fields(A& a) {
    a(place, facts);
  }
};

struct CreateSampler {
  static constexpr CommandType kType = CommandType::kCreateSampler;
  ObjectId id = 0;
  ObjectId context = 0;
  std::span<const uint64_t> properties;  ///< cl_sampler_properties list with its 0
  template <typename A>
  void fields(A& a) {
    a(id, context, properties);
  }
};

struct CreateUserEvent {
  static constexpr CommandType kType = CommandType::kCreateUserEvent;
  ObjectId id = 0;
  ObjectId context = 0;
  template <typename A>
  void fields(A& a) {
    a(id, context);
  }
};

// ---- modules and kernels
// --------------------------------------------------------------------------------------------------

enum class ModuleFormat : uint8_t { kSource = 0, kIl = 1, kBinary = 2, kBuiltin = 3 };

/// Reply payload for kBinary: StatusListReply, one per device.
struct CreateModule {
  static constexpr CommandType kType = CommandType::kCreateModule;
  ObjectId id = 0;
  ObjectId context = 0;
  ModuleFormat format = ModuleFormat::kSource;
  std::span<const ObjectId> devices;  ///< kBinary, kBuiltin
  std::vector<BulkRef> blobs;         ///< source strings, or one IL, or one binary a device
  std::string_view builtin_names;     ///< kBuiltin
  template <typename A>
  void fields(A& a) {
    a(id, context, format, devices, blobs, builtin_names);
  }
};
struct StatusListReply {
  std::vector<int32_t> status;
  template <typename A>
  void fields(A& a) {
    a(status);
  }
};

/// Runs beside later commands; the Reply comes when the build has ended.
struct BuildModule {
  static constexpr CommandType kType = CommandType::kBuildModule;
  ObjectId module = 0;
  std::span<const ObjectId> devices;  ///< empty: all of the module's
  std::string_view options;
  template <typename A>
  void fields(A& a) {
    a(module, devices, options);
  }
};
struct CompileModule {
  static constexpr CommandType kType = CommandType::kCompileModule;
  ObjectId module = 0;
  std::span<const ObjectId> devices;
  std::string_view options;
  std::span<const ObjectId> headers;      ///< modules that hold header sources
  std::vector<std::string> header_names;  ///< as many
  template <typename A>
  void fields(A& a) {
    a(module, devices, options, headers, header_names);
  }
};
/// Creates module `id` out of compiled ones. If the driver makes a program despite an error (so that its log can be read),
/// the id is live although the Reply is an error: then LinkReply.created is true.
struct LinkModule {
  static constexpr CommandType kType = CommandType::kLinkModule;
  ObjectId id = 0;
  ObjectId context = 0;
  std::span<const ObjectId> devices;
  std::string_view options;
  std::span<const ObjectId> inputs;
  template <typename A>
  void fields(A& a) {
    a(id, context, devices, options, inputs);
  }
};
struct LinkReply {
  bool created = false;
  template <typename A>
  void fields(A& a) {
    a(created);
  }
};
struct SetSpecConstant {
  static constexpr CommandType kType = CommandType::kSetSpecConstant;
  ObjectId module = 0;
  uint32_t constant = 0;
  std::span<const std::byte> value;
  template <typename A>
  void fields(A& a) {
    a(module, constant, value);
  }
};
struct CreateKernel {
  static constexpr CommandType kType = CommandType::kCreateKernel;
  ObjectId id = 0;
  ObjectId module = 0;
  std::string_view name;
  template <typename A>
  void fields(A& a) {
    a(id, module, name);
  }
};
struct CloneKernel {
  static constexpr CommandType kType = CommandType::kCloneKernel;
  ObjectId id = 0;
  ObjectId kernel = 0;
  template <typename A>
  void fields(A& a) {
    a(id, kernel);
  }
};

enum class ArgKind : uint8_t {
  kBytes = 0,    ///< `size` bytes follow
  kRegion = 1,   ///< an ObjectId follows (0: null); the driver sees its own handle
  kSampler = 2,  ///< an ObjectId follows
  kLocal = 3,    ///< nothing follows; `size` bytes of work-group memory
  kPointer = 4,  ///< a 64-bit heap address follows (SVM; CUDA's raw addresses)
  kStream = 5,   ///< an ObjectId of a device-side queue follows
};
/// One argument as it stands in SetArg and Launch: this head, then the value padded to 8. `size` is the program's arg_size.
struct ArgHead {
  uint32_t index = 0;
  ArgKind kind = ArgKind::kBytes;
  uint8_t reserved[3] = {};
  uint64_t size = 0;
};
static_assert(sizeof(ArgHead) == 16);
/// Bytes of the value that follows a head, before padding. kBytes: its size; kLocal: none; else eight.
inline constexpr uint64_t arg_value_bytes(const ArgHead& h) {
  return h.kind == ArgKind::kBytes ? h.size : h.kind == ArgKind::kLocal ? 0 : 8;
}

/// Sets one argument in the driver and says what the driver thinks of it. Front doors ask once per (kernel, index, kind,
/// size) and know the answer from then on; the arguments that count are those in Launch.
struct SetArg {
  static constexpr CommandType kType = CommandType::kSetArg;
  ObjectId kernel = 0;
  std::span<const std::byte> arg;  ///< exactly one ArgHead and value
  template <typename A>
  void fields(A& a) {
    a(kernel, arg);
  }
};
struct SetKernelExecInfo {
  static constexpr CommandType kType = CommandType::kSetKernelExecInfo;
  ObjectId kernel = 0;
  uint32_t param = 0;
  std::span<const std::byte> value;  ///< SVM pointers are heap addresses
  template <typename A>
  void fields(A& a) {
    a(kernel, param, value);
  }
};

// ---- queries and lifetime
// -------------------------------------------------------------------------------------------------

enum class QueryTarget : uint8_t {
  kDevice = 0,
  kContext,
  kStream,
  kRegion,
  kImage,
  kSampler,
  kModule,
  kModuleBuild,
  kKernel,
  kKernelArg,
  kKernelWorkGroup,
  kKernelSubGroup,
  kImageFormats,
  kDeviceTimer,
  kKernelSuggestedLocal,
};
/// Asks the driver. Reply payload: the driver's bytes, or, if `reply.size` > 0, QueryReply with the bytes in the heap there.
/// kImageFormats: param = image type, input = cl_mem_flags (8 bytes), payload = pairs of u32. kDeviceTimer: payload = device
/// and host time, u64 each, ns. kModule with CL_PROGRAM_BINARIES: `index` = device number, payload = that binary.
struct Query {
  static constexpr CommandType kType = CommandType::kQuery;
  QueryTarget target = QueryTarget::kDevice;
  ObjectId object = 0;
  ObjectId device = 0;
  uint32_t param = 0;
  uint32_t index = 0;
  std::span<const std::byte> input;
  BulkRef reply;
  template <typename A>
  void fields(A& a) {
    a(target, object, device, param, index, input, reply);
  }
};
struct QueryReply {
  uint64_t size = 0;  ///< bytes that the driver has; what exceeds reply.size was not written
  template <typename A>
  void fields(A& a) {
    a(size);
  }
};

/// The client will not name this object again. Memory comes back when the driver has finished with it.
struct Release {
  static constexpr CommandType kType = CommandType::kRelease;
  ObjectId id = 0;
  template <typename A>
  void fields(A& a) {
    a(id);
  }
};
/// Sets a user event or ends a gate: status 0 is complete, negative an error.
struct SignalEvent {
  static constexpr CommandType kType = CommandType::kSignalEvent;
  ObjectId event = 0;
  int32_t status = 0;
  template <typename A>
  void fields(A& a) {
    a(event, status);
  }
};
/// Asks for an EventStatus when the event reaches `status` (CL_SUBMITTED or CL_RUNNING).
struct WatchEvent {
  static constexpr CommandType kType = CommandType::kWatchEvent;
  ObjectId event = 0;
  int32_t status = 0;
  template <typename A>
  void fields(A& a) {
    a(event, status);
  }
};

// ---- enqueues: each begins with the same head
// -------------------------------------------------------------------------------

struct Enqueue {
  ObjectId stream = 0;
  ObjectId event = 0;               ///< the event that this command makes, or 0
  std::span<const ObjectId> waits;  ///< at most kMaxWaitList
  template <typename A>
  void fields(A& a) {
    a(stream, event, waits);
  }
};

struct Launch {
  static constexpr CommandType kType = CommandType::kLaunch;
  Enqueue head;
  ObjectId kernel = 0;
  uint8_t dimensions = 1;
  bool has_offset = false, has_local = false;
  std::array<uint64_t, 3> offset{}, global{}, local{};
  std::span<const std::byte> args;  ///< every set argument: ArgHead, value, padding, …
  template <typename A>
  void fields(A& a) {
    a(head, kernel, dimensions, has_offset, has_local, offset, global, local, args);
  }
};

/// One end of a Transfer. Linear ranges have row_pitch 0; rectangles and images use origin and pitches.
struct Endpoint {
  enum class Kind : uint8_t { kHeap = 0, kRegion = 1, kImage = 2 };
  Kind kind = Kind::kHeap;
  ObjectId id = 0;                   ///< region or image
  uint64_t offset = 0;               ///< bytes: in the heap, or in the region
  std::array<uint64_t, 3> origin{};  ///< bytes, rows, slices (regions and heap); pixels (images)
  uint64_t row_pitch = 0, slice_pitch = 0;
  template <typename A>
  void fields(A& a) {
    a(kind, id, offset, origin, row_pitch, slice_pitch);
  }
};

/// Moves bytes: heap → region is a write, region → heap a read, heap → heap an SVM copy; with `rect` the pitches count.
struct Transfer {
  static constexpr CommandType kType = CommandType::kTransfer;
  Enqueue head;
  Endpoint from, to;
  bool rect = false;
  std::array<uint64_t, 3> extent{};  ///< linear: {bytes, 0, 0}; rect: {bytes, rows, slices}; images: pixels
  template <typename A>
  void fields(A& a) {
    a(head, from, to, rect, extent);
  }
};

/// Fills a region range (extent[0] bytes), an image box (pattern = 16-byte colour) or a heap range (SVM).
struct Fill {
  static constexpr CommandType kType = CommandType::kFill;
  Enqueue head;
  Endpoint to;
  std::array<uint64_t, 3> extent{};
  std::span<const std::byte> pattern;
  template <typename A>
  void fields(A& a) {
    a(head, to, extent, pattern);
  }
};

enum class MarkerKind : uint8_t { kMarker = 0, kBarrier = 1 };
struct Marker {
  static constexpr CommandType kType = CommandType::kMarker;
  Enqueue head;
  MarkerKind kind = MarkerKind::kMarker;
  template <typename A>
  void fields(A& a) {
    a(head, kind);
  }
};
struct Migrate {
  static constexpr CommandType kType = CommandType::kMigrate;
  Enqueue head;
  std::span<const ObjectId> regions;
  uint64_t flags = 0;
  template <typename A>
  void fields(A& a) {
    a(head, regions, flags);
  }
};

/// A place in a stream where the *client* does the work: a copy between the program's memory and a shared region, a native
/// kernel. When everything before it is done the worker sends GateReady; what comes after waits for SignalEvent(head.event).
/// The event is the gate: it ends with the signal's status and gets its EventDone like any other.
struct Gate {
  static constexpr CommandType kType = CommandType::kGate;
  Enqueue head;
  template <typename A>
  void fields(A& a) {
    a(head);
  }
};

/// Asks for a StreamRetired once everything enqueued on the stream so far has completed. Not an enqueue: it takes no number.
struct Notify {
  static constexpr CommandType kType = CommandType::kNotify;
  ObjectId stream = 0;
  template <typename A>
  void fields(A& a) {
    a(stream);
  }
};

// ---- completions
// ------------------------------------------------------------------------------------------------------------

struct Reply {
  static constexpr CompletionType kType = CompletionType::kReply;
  Code code = Code::kOk;
  int32_t native = 0;  ///< the driver's code; on kOk always 0
  std::string_view message;
  std::span<const std::byte> payload;
  template <typename A>
  void fields(A& a) {
    a(code, native, message, payload);
  }
};

/// Nanoseconds in the device's own clock; all 0 where the driver gives none.
struct Timestamps {
  uint64_t queued = 0, submitted = 0, started = 0, ended = 0;
  template <typename A>
  void fields(A& a) {
    a(queued, submitted, started, ended);
  }
};

struct EventDone {
  static constexpr CompletionType kType = CompletionType::kEventDone;
  ObjectId event = 0;
  int32_t status = 0;  ///< 0 complete, negative the driver's error
  ObjectId stream = 0;
  uint64_t number = 0;  ///< of the enqueue in its stream; 0 for user events
  Timestamps times;
  template <typename A>
  void fields(A& a) {
    a(event, status, stream, number, times);
  }
};
struct EventStatus {
  static constexpr CompletionType kType = CompletionType::kEventStatus;
  ObjectId event = 0;
  int32_t status = 0;
  template <typename A>
  void fields(A& a) {
    a(event, status);
  }
};
struct GateReady {
  static constexpr CompletionType kType = CompletionType::kGateReady;
  ObjectId event = 0;
  int32_t status = 0;  ///< negative: a wait failed, do not do the work, the gate is already ended
  template <typename A>
  void fields(A& a) {
    a(event, status);
  }
};
/// In-order streams: every enqueue up to `number` has completed. Out-of-order: sent for Notify only.
struct StreamRetired {
  static constexpr CompletionType kType = CompletionType::kStreamRetired;
  ObjectId stream = 0;
  uint64_t number = 0;
  template <typename A>
  void fields(A& a) {
    a(stream, number);
  }
};
/// What kernels printed; belongs on the program's file descriptor, before the completions that follow.
struct Output {
  static constexpr CompletionType kType = CompletionType::kOutput;
  uint32_t fd = 1;
  std::string_view text;
  template <typename A>
  void fields(A& a) {
    a(fd, text);
  }
};
/// The session is over.
struct Fault {
  static constexpr CompletionType kType = CompletionType::kFault;
  Code code = Code::kDeviceLost;
  std::string_view message;
  template <typename A>
  void fields(A& a) {
    a(code, message);
  }
};

}  // namespace amalgam::protocol
