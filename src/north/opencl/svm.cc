// SPDX-License-Identifier: Apache-2.0
// clSVMAlloc, clSVMFree, clEnqueueSVMFree.
#include "north/opencl/svm.h"

#include <algorithm>

#include "north/opencl/mem.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {
namespace {

constexpr cl_uint kMostAlignment = 128;  // of the largest vector type
constexpr cl_svm_mem_flags kSvmFlags = kAccessFlags | CL_MEM_SVM_FINE_GRAIN_BUFFER | CL_MEM_SVM_ATOMICS;

/// What any device of the context offers; the largest allocation of all.
cl_device_svm_capabilities offers(cl_context context, cl_ulong& most) {
  cl_device_svm_capabilities all = 0;
  most = 0;
  for (cl_device_id device : context->devices) {
    cl_device_svm_capabilities has = 0;
    cl_ulong size = 0;
    api::clGetDeviceInfo(device, CL_DEVICE_SVM_CAPABILITIES, sizeof has, &has, nullptr);
    api::clGetDeviceInfo(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof size, &size, nullptr);
    all |= has;
    most = std::max(most, size);
  }
  return all;
}

bool legal(cl_context context, cl_svm_mem_flags flags, size_t size, cl_uint alignment) {
  if (!valid(context, Kind::kContext) || !context->svm || size == 0) return false;
  if ((flags & ~kSvmFlags) != 0 || check_mem_flags(flags & kAccessFlags) != CL_SUCCESS) return false;
  if ((alignment & (alignment - 1)) != 0 || alignment > kMostAlignment) return false;
  cl_ulong most = 0;
  cl_device_svm_capabilities has = offers(context, most);
  bool fine = (flags & CL_MEM_SVM_FINE_GRAIN_BUFFER) != 0, atomics = (flags & CL_MEM_SVM_ATOMICS) != 0;
  if (size > most || (atomics && !fine)) return false;
  if (fine && (has & CL_DEVICE_SVM_FINE_GRAIN_BUFFER) == 0) return false;
  return !atomics || (has & CL_DEVICE_SVM_ATOMICS) != 0;
}

}  // namespace

std::optional<SvmPlace> find_svm(cl_context context, const void* pointer) {
  auto at = reinterpret_cast<uintptr_t>(pointer);
  std::lock_guard lock(context->mutex);
  auto block = context->svm_blocks.upper_bound(at);
  if (block == context->svm_blocks.begin()) return std::nullopt;
  --block;
  size_t offset = at - block->first;
  if (offset >= block->second.size) return std::nullopt;
  return SvmPlace{block->second.id, offset, block->second.size - offset};
}

void free_svm(cl_context context, void* pointer) {
  protocol::ObjectId id = 0;
  {
    std::lock_guard lock(context->mutex);
    auto block = context->svm_blocks.find(reinterpret_cast<uintptr_t>(pointer));
    if (block == context->svm_blocks.end()) return;
    id = block->second.id;
    context->svm_blocks.erase(block);
  }
  release_id(*context->session, id);
}

cl_int begin_svm(cl_command_queue queue, cl_uint count, const cl_event* events, WaitList& waits) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!queue->context->svm) return CL_INVALID_OPERATION;
  return waits.take(queue->context, count, events);
}

namespace api {

void* clSVMAlloc(cl_context context, cl_svm_mem_flags flags, size_t size, cl_uint alignment) {
  if (!legal(context, flags, size, alignment)) return nullptr;
  client::Session& session = *context->session;
  if (session.dead()) return nullptr;
  protocol::CreateRegion message;
  message.id = session.ids().make(nullptr);
  if (message.id == 0) return nullptr;
  message.context = context->id;
  message.use = protocol::RegionUse::kSvm;
  message.flags = (flags & kAccessFlags) != 0 ? flags : flags | CL_MEM_READ_WRITE;
  message.size = size;
  message.alignment = alignment;
  auto payload = session.call(message);
  auto reply = payload ? session.read<protocol::RegionReply>(*payload) : std::unexpected(std::move(payload.error()));
  auto place = reply ? session.place(*reply, size) : std::unexpected(std::move(reply.error()));
  if (!place) {
    session.ids().free(message.id);
    return nullptr;
  }
  std::byte* pointer = *place;
  std::lock_guard lock(context->mutex);
  context->svm_blocks[reinterpret_cast<uintptr_t>(pointer)] = {message.id, size, flags};
  return pointer;
}

void clSVMFree(cl_context context, void* pointer) {
  if (valid(context, Kind::kContext) && pointer != nullptr) free_svm(context, pointer);
}

cl_int clEnqueueSVMFree(cl_command_queue queue, cl_uint size, void* pointers[],
                        void(CL_CALLBACK* free_them)(cl_command_queue, cl_uint, void*[], void*), void* user_data,
                        cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (cl_int bad = begin_svm(queue, count, events, waits); bad != CL_SUCCESS) return bad;
  if ((size == 0) != (pointers == nullptr)) return CL_INVALID_VALUE;
  std::vector<void*> list(pointers, pointers + size);
  if (free_them == nullptr) {
    auto work = [context = queue->context, list = std::move(list)] {
      for (void* pointer : list) free_svm(context, pointer);
      return 0;
    };
    return host_command(queue, waits, count, events, CL_COMMAND_SVM_FREE, false, std::move(work), event);
  }
  // The program's function may call anything, so it runs without a lock: on the service thread.
  auto work = [queue, free_them, user_data, list = std::move(list)]() mutable {
    free_them(queue, static_cast<cl_uint>(list.size()), list.data(), user_data);
    return 0;
  };
  return gated_command(queue, waits, CL_COMMAND_SVM_FREE, false, std::move(work), event);
}

}  // namespace api
}  // namespace amalgam::opencl
