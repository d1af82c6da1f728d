// SPDX-License-Identifier: Apache-2.0
// Linear transfers of buffers: clEnqueueReadBuffer, clEnqueueWriteBuffer, clEnqueueCopyBuffer, clEnqueueFillBuffer.
//
// Shared regions: one memcpy by this process (host_command). Staged ones: through the heap's staging, in pieces that fit.
#include <cstring>

#include "north/opencl/enqueue.h"
#include "north/opencl/staged.h"

namespace amalgam::opencl {
namespace {

constexpr cl_mem_flags kNoHostRead = CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS;
constexpr cl_mem_flags kNoHostWrite = CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS;

/// What reads and writes of a buffer range have in common.
cl_int check_range(cl_command_queue queue, cl_mem buffer, size_t offset, size_t size, const void* pointer,
                   cl_mem_flags forbidden) {
  if (!valid(buffer, Kind::kMem) || buffer->is_image()) return CL_INVALID_MEM_OBJECT;
  if (buffer->context != queue->context) return CL_INVALID_CONTEXT;
  if (pointer == nullptr || size == 0) return CL_INVALID_VALUE;
  if (offset > buffer->size || size > buffer->size - offset) return CL_INVALID_VALUE;
  if ((buffer->flags & forbidden) != 0) return CL_INVALID_OPERATION;
  return misaligned(queue, buffer) ? CL_MISALIGNED_SUB_BUFFER_OFFSET : CL_SUCCESS;
}

}  // namespace

bool misaligned(cl_command_queue queue, cl_mem buffer) {
  if (buffer->parent == nullptr || buffer->offset == 0) return false;
  uint64_t align = device_number(queue->device, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
  return align != 0 && buffer->offset % align != 0;
}

namespace api {

cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size, void* ptr,
                           cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (cl_int bad = check_range(queue, buffer, offset, size, ptr, kNoHostRead); bad != CL_SUCCESS) return bad;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  if (!buffer->shared)
    return staged_read({queue, CL_COMMAND_READ_BUFFER, blocking != CL_FALSE, count, events}, buffer, offset, size, ptr,
                       waits, event);
  auto copy = [hold = MemHold(buffer), offset, size, ptr] {
    std::memcpy(ptr, hold.mem()->bytes + offset, size);
    return 0;
  };
  return host_command(queue, waits, count, events, CL_COMMAND_READ_BUFFER, blocking != CL_FALSE, std::move(copy), event);
}

cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
                            const void* ptr, cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (cl_int bad = check_range(queue, buffer, offset, size, ptr, kNoHostWrite); bad != CL_SUCCESS) return bad;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  if (!buffer->shared)
    return staged_write({queue, CL_COMMAND_WRITE_BUFFER, blocking != CL_FALSE, count, events}, buffer, offset, size, ptr,
                        waits, event);
  auto copy = [hold = MemHold(buffer), offset, size, ptr] {
    std::memcpy(hold.mem()->bytes + offset, ptr, size);
    return 0;
  };
  return host_command(queue, waits, count, events, CL_COMMAND_WRITE_BUFFER, blocking != CL_FALSE, std::move(copy), event);
}

cl_int clEnqueueCopyBuffer(cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset, size_t size,
                           cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!valid(from, Kind::kMem) || !valid(to, Kind::kMem) || from->is_image() || to->is_image()) return CL_INVALID_MEM_OBJECT;
  if (from->context != queue->context || to->context != queue->context) return CL_INVALID_CONTEXT;
  if (size == 0 || from_offset > from->size || size > from->size - from_offset || to_offset > to->size ||
      size > to->size - to_offset)
    return CL_INVALID_VALUE;
  // Buffers that share a parent overlap where their ranges in it do.
  cl_mem from_root = from->parent != nullptr ? from->parent : from, to_root = to->parent != nullptr ? to->parent : to;
  size_t a = from->offset + from_offset, b = to->offset + to_offset;
  if (from_root == to_root && a < b + size && b < a + size) return CL_MEM_COPY_OVERLAP;
  if (misaligned(queue, from) || misaligned(queue, to)) return CL_MISALIGNED_SUB_BUFFER_OFFSET;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  protocol::Transfer transfer;
  transfer.from = region_end(from, from_offset);
  transfer.to = region_end(to, to_offset);
  transfer.extent = {size, 0, 0};
  return submit(queue, transfer, waits, CL_COMMAND_COPY_BUFFER, event, false);
}

cl_int clEnqueueFillBuffer(cl_command_queue queue, cl_mem buffer, const void* pattern, size_t pattern_size, size_t offset,
                           size_t size, cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!valid(buffer, Kind::kMem) || buffer->is_image()) return CL_INVALID_MEM_OBJECT;
  if (buffer->context != queue->context) return CL_INVALID_CONTEXT;
  bool legal_pattern = pattern_size != 0 && pattern_size <= kMaxFillPattern && (pattern_size & (pattern_size - 1)) == 0;
  if (pattern == nullptr || !legal_pattern || offset > buffer->size || size > buffer->size - offset ||
      offset % pattern_size != 0 || size % pattern_size != 0)
    return CL_INVALID_VALUE;
  if (misaligned(queue, buffer)) return CL_MISALIGNED_SUB_BUFFER_OFFSET;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  protocol::Fill fill;
  fill.to = region_end(buffer, offset);
  fill.extent = {size, 0, 0};
  fill.pattern = {static_cast<const std::byte*>(pattern), pattern_size};
  // A fill of nothing is for the driver to judge.
  return submit(queue, fill, waits, CL_COMMAND_FILL_BUFFER, event, size == 0);
}

}  // namespace api
}  // namespace amalgam::opencl
