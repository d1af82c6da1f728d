// SPDX-License-Identifier: Apache-2.0
// Enqueues on shared virtual memory: copies, fills, maps, migrations.
#include <cstring>

#include "north/opencl/map.h"
#include "north/opencl/ordered.h"
#include "north/opencl/svm.h"

namespace amalgam::opencl {
namespace {

bool whole_in_heap(client::Session& session, const void* pointer, size_t size) {
  if (!session.in_heap(pointer)) return false;
  auto offset = static_cast<uint64_t>(static_cast<const std::byte*>(pointer) - session.heap());
  return size <= session.heap_bytes() - offset;
}

protocol::Endpoint heap_end(client::Session& session, const void* pointer) {
  protocol::Endpoint end;
  end.offset = static_cast<uint64_t>(static_cast<const std::byte*>(pointer) - session.heap());
  return end;
}

bool overlap(const void* a, const void* b, size_t size) {
  auto from = reinterpret_cast<uintptr_t>(a), to = reinterpret_cast<uintptr_t>(b);
  return from < to + size && to < from + size;
}

}  // namespace

namespace api {

cl_int clEnqueueSVMMemcpy(cl_command_queue queue, cl_bool blocking, void* to, const void* from, size_t size, cl_uint count,
                          const cl_event* events, cl_event* event) {
  WaitList waits;
  if (cl_int bad = begin_svm(queue, count, events, waits); bad != CL_SUCCESS) return bad;
  if (to == nullptr || from == nullptr || size == 0) return CL_INVALID_VALUE;
  if (overlap(from, to, size)) return CL_MEM_COPY_OVERLAP;
  client::Session& session = *queue->session;
  if (blocking == CL_FALSE && whole_in_heap(session, from, size) && whole_in_heap(session, to, size)) {
    protocol::Transfer transfer;
    transfer.from = heap_end(session, from);
    transfer.to = heap_end(session, to);
    transfer.extent = {size, 0, 0};
    return submit(queue, transfer, waits, CL_COMMAND_SVM_MEMCPY, event, false);
  }
  auto copy = [to, from, size] {
    std::memcpy(to, from, size);
    return 0;
  };
  return host_command(queue, waits, count, events, CL_COMMAND_SVM_MEMCPY, blocking != CL_FALSE, std::move(copy), event);
}

cl_int clEnqueueSVMMemFill(cl_command_queue queue, void* pointer, const void* pattern, size_t pattern_size, size_t size,
                           cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (cl_int bad = begin_svm(queue, count, events, waits); bad != CL_SUCCESS) return bad;
  bool legal = pattern_size != 0 && pattern_size <= kMaxFillPattern && (pattern_size & (pattern_size - 1)) == 0;
  if (pointer == nullptr || pattern == nullptr || !legal || size == 0) return CL_INVALID_VALUE;
  if (reinterpret_cast<uintptr_t>(pointer) % pattern_size != 0 || size % pattern_size != 0) return CL_INVALID_VALUE;
  // A pointer to anything else would be fine-grained system memory, which no device of the pool claims.
  client::Session& session = *queue->session;
  if (!whole_in_heap(session, pointer, size)) return CL_INVALID_VALUE;
  protocol::Fill fill;
  fill.to = heap_end(session, pointer);
  fill.extent = {size, 0, 0};
  fill.pattern = {static_cast<const std::byte*>(pattern), pattern_size};
  return submit(queue, fill, waits, CL_COMMAND_SVM_MEMFILL, event, false);
}

cl_int clEnqueueSVMMap(cl_command_queue queue, cl_bool blocking, cl_map_flags flags, void* pointer, size_t size,
                       cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (cl_int bad = begin_svm(queue, count, events, waits); bad != CL_SUCCESS) return bad;
  if (pointer == nullptr || size == 0 || (flags & ~(CL_MAP_READ | kMapWrites)) != 0) return CL_INVALID_VALUE;
  return ordered(queue, waits, count, events, CL_COMMAND_SVM_MAP, blocking != CL_FALSE, event);
}

cl_int clEnqueueSVMUnmap(cl_command_queue queue, void* pointer, cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (cl_int bad = begin_svm(queue, count, events, waits); bad != CL_SUCCESS) return bad;
  if (pointer == nullptr) return CL_INVALID_VALUE;
  return ordered(queue, waits, count, events, CL_COMMAND_SVM_UNMAP, false, event);
}

cl_int clEnqueueSVMMigrateMem(cl_command_queue queue, cl_uint size, const void** pointers, const size_t* sizes,
                              cl_mem_migration_flags flags, cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (cl_int bad = begin_svm(queue, count, events, waits); bad != CL_SUCCESS) return bad;
  constexpr cl_mem_migration_flags kAll = CL_MIGRATE_MEM_OBJECT_HOST | CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED;
  if (size == 0 || pointers == nullptr || (flags & ~kAll) != 0) return CL_INVALID_VALUE;
  for (cl_uint i = 0; i < size; ++i) {
    auto place = find_svm(queue->context, pointers[i]);
    if (!place || (sizes != nullptr && sizes[i] > place->room)) return CL_INVALID_VALUE;
  }
  // The heap is where every device of the context reaches it: there is nowhere to move it to.
  return ordered(queue, waits, count, events, CL_COMMAND_SVM_MIGRATE_MEM, false, event);
}

}  // namespace api
}  // namespace amalgam::opencl
