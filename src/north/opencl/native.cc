// SPDX-License-Identifier: Apache-2.0
// clEnqueueNativeKernel: the program's own function in the queue's order. It runs here, in the program's process, on the
// service thread (it may call anything, so no lock is held), with pointers into shared regions.
#include <cstring>

#include "north/opencl/mem.h"
#include "north/opencl/staged.h"

namespace amalgam::opencl {
namespace {

struct Call {
  void(CL_CALLBACK* function)(void*);
  std::vector<std::byte> args;
  std::vector<MemHold> holds;
};

cl_int check(cl_command_queue queue, const void* args, size_t args_size, cl_uint size, const cl_mem* mems,
             const void** places) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if ((device_number(queue->device, CL_DEVICE_EXECUTION_CAPABILITIES) & CL_EXEC_NATIVE_KERNEL) == 0)
    return CL_INVALID_OPERATION;
  if ((args == nullptr) != (args_size == 0) || (args == nullptr && size != 0)) return CL_INVALID_VALUE;
  bool lists = mems != nullptr && places != nullptr, none = mems == nullptr && places == nullptr;
  if (size == 0 ? !none : !lists) return CL_INVALID_VALUE;
  for (cl_uint i = 0; i < size; ++i) {
    if (!valid(mems[i], Kind::kMem) || mems[i]->is_image()) return CL_INVALID_MEM_OBJECT;
    if (mems[i]->context != queue->context) return CL_INVALID_CONTEXT;
    if (!mems[i]->shared) return CL_INVALID_OPERATION;
  }
  return CL_SUCCESS;
}

/// Puts the region's address where the program's arguments have the handle.
bool place_address(Call& call, const void* args, const void* place, cl_mem mem) {
  auto offset = reinterpret_cast<uintptr_t>(place) - reinterpret_cast<uintptr_t>(args);
  std::byte* address = mem->bytes;
  if (offset > call.args.size() || sizeof address > call.args.size() - offset) return false;
  std::memcpy(call.args.data() + offset, &address, sizeof address);
  call.holds.emplace_back(mem);
  return true;
}

}  // namespace

namespace api {

cl_int clEnqueueNativeKernel(cl_command_queue queue, void(CL_CALLBACK* function)(void*), void* args, size_t args_size,
                             cl_uint size, const cl_mem* mems, const void** places, cl_uint count, const cl_event* events,
                             cl_event* event) {
  WaitList waits;
  if (valid(queue, Kind::kQueue) && function == nullptr) return CL_INVALID_VALUE;
  if (cl_int bad = check(queue, args, args_size, size, mems, places); bad != CL_SUCCESS) return bad;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  auto call = std::make_shared<Call>();
  call->function = function;
  if (args_size != 0) call->args.assign(static_cast<std::byte*>(args), static_cast<std::byte*>(args) + args_size);
  for (cl_uint i = 0; i < size; ++i)
    if (!place_address(*call, args, places[i], mems[i])) return CL_INVALID_VALUE;
  auto work = [call] {
    call->function(call->args.empty() ? nullptr : call->args.data());
    return 0;
  };
  return gated_command(queue, waits, CL_COMMAND_NATIVE_KERNEL, false, std::move(work), event);
}

}  // namespace api
}  // namespace amalgam::opencl
