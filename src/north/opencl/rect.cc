// SPDX-License-Identifier: Apache-2.0
// clEnqueueReadBufferRect, clEnqueueWriteBufferRect, clEnqueueCopyBufferRect.
//
// Shared regions: rows are copied by this process (host_command). Staged ones: staged_box.h. Copies between regions are
// the driver's, who also judges them (ranges, pitches, overlap).
#include "north/opencl/box.h"
#include "north/opencl/mem.h"
#include "north/opencl/staged.h"
#include "north/opencl/staged_box.h"

namespace amalgam::opencl {
namespace {

/// A read or write as the program gave it, then with its default pitches filled in.
struct Rect {
  cl_mem buffer;
  std::array<uint64_t, 3> origin{}, host_origin{}, extent{};
  Pitches pitches, host_pitches;
  std::byte* host;

  /// Where the box begins.
  size_t offset() const { return origin[2] * pitches.slice + origin[1] * pitches.row + origin[0]; }
  std::byte* host_begin() const {
    return host + host_origin[2] * host_pitches.slice + host_origin[1] * host_pitches.row + host_origin[0];
  }
};

bool fill_pitches(Pitches& pitches, const std::array<uint64_t, 3>& extent) {
  if (pitches.row == 0) pitches.row = extent[0];
  if (pitches.row < extent[0]) return false;
  if (pitches.slice == 0) pitches.slice = pitches.row * extent[1];
  return pitches.slice / extent[1] >= pitches.row && (pitches.slice % pitches.row == 0 || extent[2] == 1);
}

cl_int check(cl_command_queue queue, Rect& rect, const size_t* origin, const size_t* host_origin, const size_t* region,
             cl_mem_flags forbidden) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!valid(rect.buffer, Kind::kMem) || rect.buffer->is_image()) return CL_INVALID_MEM_OBJECT;
  if (rect.buffer->context != queue->context) return CL_INVALID_CONTEXT;
  if ((rect.buffer->flags & forbidden) != 0) return CL_INVALID_OPERATION;
  if (rect.host == nullptr || origin == nullptr || host_origin == nullptr || region == nullptr) return CL_INVALID_VALUE;
  for (size_t i = 0; i < 3; ++i) {
    rect.origin[i] = origin[i];
    rect.host_origin[i] = host_origin[i];
    rect.extent[i] = region[i];
    if (region[i] == 0) return CL_INVALID_VALUE;
  }
  if (!fill_pitches(rect.pitches, rect.extent) || !fill_pitches(rect.host_pitches, rect.extent)) return CL_INVALID_VALUE;
  if (span_of(rect.origin, rect.extent, rect.pitches) > rect.buffer->size) return CL_INVALID_VALUE;
  return misaligned(queue, rect.buffer) ? CL_MISALIGNED_SUB_BUFFER_OFFSET : CL_SUCCESS;
}

DeviceBox device_box(const Rect& rect) {
  DeviceBox box;
  box.place.kind = protocol::Endpoint::Kind::kRegion;
  box.place.id = rect.buffer->id;
  box.place.origin = rect.origin;
  box.place.row_pitch = rect.pitches.row;
  box.place.slice_pitch = rect.pitches.slice;
  box.extent = rect.extent;
  return box;
}

}  // namespace

namespace api {

cl_int clEnqueueReadBufferRect(cl_command_queue queue, cl_mem buffer, cl_bool blocking, const size_t* origin,
                               const size_t* host_origin, const size_t* region, size_t row_pitch, size_t slice_pitch,
                               size_t host_row_pitch, size_t host_slice_pitch, void* ptr, cl_uint count,
                               const cl_event* events, cl_event* event) {
  WaitList waits;
  Rect rect{buffer, {}, {}, {}, {row_pitch, slice_pitch}, {host_row_pitch, host_slice_pitch}, static_cast<std::byte*>(ptr)};
  if (cl_int bad = check(queue, rect, origin, host_origin, region, kNoHostRead); bad != CL_SUCCESS) return bad;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  if (!buffer->shared)
    return staged_box_read({queue, CL_COMMAND_READ_BUFFER_RECT, blocking != CL_FALSE, count, events}, buffer,
                           device_box(rect), rect.host_begin(), rect.host_pitches, waits, event);
  auto copy = [hold = MemHold(buffer), rect] {
    copy_box(rect.host_begin(), rect.host_pitches, hold.mem()->bytes + rect.offset(), rect.pitches, rect.extent[0],
             rect.extent[1], rect.extent[2]);
    return 0;
  };
  return host_command(queue, waits, count, events, CL_COMMAND_READ_BUFFER_RECT, blocking != CL_FALSE, std::move(copy),
                      event);
}

cl_int clEnqueueWriteBufferRect(cl_command_queue queue, cl_mem buffer, cl_bool blocking, const size_t* origin,
                                const size_t* host_origin, const size_t* region, size_t row_pitch, size_t slice_pitch,
                                size_t host_row_pitch, size_t host_slice_pitch, const void* ptr, cl_uint count,
                                const cl_event* events, cl_event* event) {
  WaitList waits;
  Rect rect{buffer,
            {},
            {},
            {},
            {row_pitch, slice_pitch},
            {host_row_pitch, host_slice_pitch},
            static_cast<std::byte*>(const_cast<void*>(ptr))};
  if (cl_int bad = check(queue, rect, origin, host_origin, region, kNoHostWrite); bad != CL_SUCCESS) return bad;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  if (!buffer->shared)
    return staged_box_write({queue, CL_COMMAND_WRITE_BUFFER_RECT, blocking != CL_FALSE, count, events}, buffer,
                            device_box(rect), rect.host_begin(), rect.host_pitches, waits, event);
  auto copy = [hold = MemHold(buffer), rect] {
    copy_box(hold.mem()->bytes + rect.offset(), rect.pitches, rect.host_begin(), rect.host_pitches, rect.extent[0],
             rect.extent[1], rect.extent[2]);
    return 0;
  };
  return host_command(queue, waits, count, events, CL_COMMAND_WRITE_BUFFER_RECT, blocking != CL_FALSE, std::move(copy),
                      event);
}

cl_int clEnqueueCopyBufferRect(cl_command_queue queue, cl_mem from, cl_mem to, const size_t* from_origin,
                               const size_t* to_origin, const size_t* region, size_t from_row_pitch, size_t from_slice_pitch,
                               size_t to_row_pitch, size_t to_slice_pitch, cl_uint count, const cl_event* events,
                               cl_event* event) {
  WaitList waits;
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!valid(from, Kind::kMem) || !valid(to, Kind::kMem) || from->is_image() || to->is_image()) return CL_INVALID_MEM_OBJECT;
  if (from->context != queue->context || to->context != queue->context) return CL_INVALID_CONTEXT;
  if (from_origin == nullptr || to_origin == nullptr || region == nullptr) return CL_INVALID_VALUE;
  if (misaligned(queue, from) || misaligned(queue, to)) return CL_MISALIGNED_SUB_BUFFER_OFFSET;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  protocol::Transfer transfer;
  transfer.rect = true;
  transfer.from.kind = transfer.to.kind = protocol::Endpoint::Kind::kRegion;
  transfer.from.id = from->id;
  transfer.to.id = to->id;
  for (size_t i = 0; i < 3; ++i) {
    transfer.from.origin[i] = from_origin[i];
    transfer.to.origin[i] = to_origin[i];
    transfer.extent[i] = region[i];
  }
  transfer.from.row_pitch = from_row_pitch;
  transfer.from.slice_pitch = from_slice_pitch;
  transfer.to.row_pitch = to_row_pitch;
  transfer.to.slice_pitch = to_slice_pitch;
  return submit(queue, transfer, waits, CL_COMMAND_COPY_BUFFER_RECT, event, true);
}

}  // namespace api
}  // namespace amalgam::opencl
