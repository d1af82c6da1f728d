// SPDX-License-Identifier: Apache-2.0
// clEnqueueMapBuffer and clEnqueueUnmapMemObject, and the table of mappings.
#include "north/opencl/map.h"

#include <cstring>

#include "north/opencl/box.h"
#include "north/opencl/mem.h"
#include "north/opencl/ordered.h"
#include "north/opencl/staged.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {

cl_int check_map_flags(cl_mem mem, cl_map_flags flags) {
  if ((flags & ~(CL_MAP_READ | kMapWrites)) != 0) return CL_INVALID_VALUE;
  if ((flags & CL_MAP_READ) != 0 && (mem->flags & kNoHostRead) != 0) return CL_INVALID_OPERATION;
  if ((flags & kMapWrites) != 0 && (mem->flags & kNoHostWrite) != 0) return CL_INVALID_OPERATION;
  return CL_SUCCESS;
}

void add_mapping(cl_mem mem, const _cl_mem::Mapping& mapping) {
  std::lock_guard lock(mem->mutex);
  mem->mappings.push_back(mapping);
  mem->mappings.back().count = 1;
}

bool take_mapping(cl_mem mem, const void* pointer, _cl_mem::Mapping& mapping) {
  std::lock_guard lock(mem->mutex);
  for (auto it = mem->mappings.rbegin(); it != mem->mappings.rend(); ++it) {
    if (it->pointer != pointer) continue;
    mapping = *it;
    mem->mappings.erase(std::next(it).base());
    return true;
  }
  return false;
}

void* finish_map(cl_mem mem, void* pointer, cl_int result, cl_int* error) {
  report(error, result);
  if (result == CL_SUCCESS) return pointer;
  _cl_mem::Mapping gone;
  take_mapping(mem, pointer, gone);
  return nullptr;
}

namespace {

/// Whether the program's own memory stands for the region, and not only points to it.
bool copies_host_ptr(cl_mem mem) { return mem->host_ptr != nullptr && !mem->svm_backed; }

protocol::Endpoint shadow_end(cl_mem buffer, size_t offset) {
  protocol::Endpoint end;
  end.offset = static_cast<uint64_t>(buffer->bytes + offset - buffer->context->session->heap());
  return end;
}

/// What a map or unmap is made of.
struct Step {
  cl_command_queue queue;
  cl_mem buffer;
  size_t offset, size;
  bool blocking;
  WaitList& waits;
  cl_uint count;
  const cl_event* events;
  cl_event* event;
  CarryCommand command(cl_command_type type) const { return {queue, type, blocking, count, events}; }
};

/// Copies between a shared region and the program's memory that stands for it.
cl_int copy_host_ptr(const Step& step, bool out, cl_command_type type) {
  auto copy = [hold = MemHold(step.buffer), offset = step.offset, size = step.size, out] {
    std::byte *bytes = hold.mem()->bytes + offset, *host = static_cast<std::byte*>(hold.mem()->host_ptr) + offset;
    out ? copy_changed(host, bytes, size) : copy_all(bytes, host, size);
    return 0;
  };
  return host_command(step.queue, step.waits, step.count, step.events, type, step.blocking, std::move(copy), step.event);
}

cl_int move_shadow(const Step& step, bool out, cl_command_type type) {
  protocol::Transfer transfer;
  transfer.from = out ? region_end(step.buffer, step.offset) : shadow_end(step.buffer, step.offset);
  transfer.to = out ? shadow_end(step.buffer, step.offset) : region_end(step.buffer, step.offset);
  transfer.extent = {step.size, 0, 0};
  if (!step.blocking) return submit(step.queue, transfer, step.waits, type, step.event, false);
  cl_event made = nullptr;
  cl_int result = submit(step.queue, transfer, step.waits, type, &made, false);
  return result == CL_SUCCESS ? finish_blocking(made, step.event) : result;
}

cl_int map(const Step& step, cl_map_flags flags) {
  cl_mem buffer = step.buffer;
  bool free = buffer->shared && !copies_host_ptr(buffer);
  if (free || !shows_content(flags))
    return ordered(step.queue, step.waits, step.count, step.events, CL_COMMAND_MAP_BUFFER, step.blocking, step.event);
  if (buffer->shared) return copy_host_ptr(step, true, CL_COMMAND_MAP_BUFFER);
  if (!copies_host_ptr(buffer)) return move_shadow(step, true, CL_COMMAND_MAP_BUFFER);
  return staged_read(step.command(CL_COMMAND_MAP_BUFFER), buffer, step.offset, step.size,
                     static_cast<std::byte*>(buffer->host_ptr) + step.offset, step.waits, step.event);
}

cl_int unmap(const Step& step, cl_map_flags flags) {
  cl_mem buffer = step.buffer;
  bool free = buffer->shared && !copies_host_ptr(buffer);
  if (free || (flags & kMapWrites) == 0)
    return ordered(step.queue, step.waits, step.count, step.events, CL_COMMAND_UNMAP_MEM_OBJECT, false, step.event);
  if (buffer->shared) return copy_host_ptr(step, false, CL_COMMAND_UNMAP_MEM_OBJECT);
  if (!copies_host_ptr(buffer)) return move_shadow(step, false, CL_COMMAND_UNMAP_MEM_OBJECT);
  return staged_write(step.command(CL_COMMAND_UNMAP_MEM_OBJECT), buffer, step.offset, step.size,
                      static_cast<std::byte*>(buffer->host_ptr) + step.offset, step.waits, step.event);
}

cl_int check_map(cl_command_queue queue, cl_mem buffer, cl_map_flags flags, size_t offset, size_t size) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!valid(buffer, Kind::kMem) || buffer->is_image()) return CL_INVALID_MEM_OBJECT;
  if (buffer->context != queue->context) return CL_INVALID_CONTEXT;
  if (size == 0 || offset > buffer->size || size > buffer->size - offset) return CL_INVALID_VALUE;
  if (cl_int bad = check_map_flags(buffer, flags); bad != CL_SUCCESS) return bad;
  return misaligned(queue, buffer) ? CL_MISALIGNED_SUB_BUFFER_OFFSET : CL_SUCCESS;
}

}  // namespace

namespace api {

void* clEnqueueMapBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, cl_map_flags flags, size_t offset,
                         size_t size, cl_uint count, const cl_event* events, cl_event* event, cl_int* error) {
  WaitList waits;
  if (cl_int bad = check_map(queue, buffer, flags, offset, size); bad != CL_SUCCESS) return refuse(error, bad);
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return refuse(error, bad);
  _cl_mem::Mapping mapping;
  mapping.pointer = copies_host_ptr(buffer) ? static_cast<std::byte*>(buffer->host_ptr) + offset : buffer->bytes + offset;
  mapping.flags = flags;
  mapping.offset = offset;
  mapping.size = size;
  add_mapping(buffer, mapping);
  Step step{queue, buffer, offset, size, blocking != CL_FALSE, waits, count, events, event};
  return finish_map(buffer, mapping.pointer, map(step, flags), error);
}

cl_int clEnqueueUnmapMemObject(cl_command_queue queue, cl_mem mem, void* pointer, cl_uint count, const cl_event* events,
                               cl_event* event) {
  WaitList waits;
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!valid(mem, Kind::kMem) || mem->type == CL_MEM_OBJECT_PIPE) return CL_INVALID_MEM_OBJECT;
  if (mem->context != queue->context) return CL_INVALID_CONTEXT;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  _cl_mem::Mapping mapping;
  if (pointer == nullptr || !take_mapping(mem, pointer, mapping)) return CL_INVALID_VALUE;
  Step step{queue, mem, mapping.offset, mapping.size, false, waits, count, events, event};
  cl_int result =
      mem->is_image() ? unmap_image(queue, mem, mapping, waits, count, events, event) : unmap(step, mapping.flags);
  if (result != CL_SUCCESS) add_mapping(mem, mapping);
  return result;
}

}  // namespace api
}  // namespace amalgam::opencl
