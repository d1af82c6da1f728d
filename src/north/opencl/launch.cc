// SPDX-License-Identifier: Apache-2.0
// clEnqueueNDRangeKernel and clEnqueueTask.
//
// The hot path: a launch whose every precondition is known to hold goes unchecked, with the kernel's argument block copied
// into the frame. Whatever is unusual (no local size on a kernel that requires one, ranges not divisible, much local memory,
// zero sizes, …) is sent checked: the driver knows the rules of its version and device.
#include "north/opencl/enqueue.h"

namespace amalgam::opencl {
namespace {

/// What the device allows, read once a device.
struct DeviceLimits {
  size_t dimensions = 3, group = 0, items[3] = {};
  uint64_t local_bytes = 0;
};

DeviceLimits read_limits(cl_device_id device) {
  DeviceLimits limits;
  limits.dimensions = device_number(device, CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS);
  limits.group = device_number(device, CL_DEVICE_MAX_WORK_GROUP_SIZE);
  limits.local_bytes = device_number(device, CL_DEVICE_LOCAL_MEM_SIZE);
  const std::vector<uint8_t>* items = device_property(device, CL_DEVICE_MAX_WORK_ITEM_SIZES);
  for (size_t i = 0; i < 3 && items != nullptr && items->size() >= (i + 1) * sizeof(size_t); ++i)
    __builtin_memcpy(&limits.items[i], items->data() + i * sizeof(size_t), sizeof(size_t));
  return limits;
}

/// True if the range is legal beyond doubt, so that no driver could refuse it.
bool surely_legal(const DeviceLimits& device, const _cl_kernel::Limits& kernel, const protocol::Launch& launch) {
  bool required = kernel.required[0] != 0;
  if (launch.dimensions < 1 || launch.dimensions > 3 || (required && !launch.has_local)) return false;
  uint64_t group = 1;
  for (size_t i = 0; i < launch.dimensions; ++i) {
    uint64_t global = launch.global[i], local = launch.local[i];
    if (global == 0 || global > UINT32_MAX || (launch.has_offset && launch.offset[i] > UINT32_MAX)) return false;
    if (!launch.has_local) continue;
    if (local == 0 || local > device.items[i] || global % local != 0 || (required && local != kernel.required[i]))
      return false;
    group *= local;
  }
  return !launch.has_local || (group <= device.group && group <= kernel.work_group_size);
}

/// Work-group memory that arguments ask for; UINT64_MAX if an argument is of a kind that wants a closer look.
uint64_t local_bytes(cl_kernel kernel) {
  uint64_t sum = 0;
  for (const _cl_kernel::Arg& arg : kernel->args) {
    if (arg.what != _cl_kernel::Arg::Class::kLocal) continue;
    protocol::ArgHead head;
    __builtin_memcpy(&head, kernel->block.data() + arg.at, sizeof head);
    sum += head.size;
  }
  return sum;
}

cl_int launch(cl_command_queue queue, cl_kernel kernel, protocol::Launch& message, const WaitList& waits,
              cl_command_type type, cl_event* event) {
  message.kernel = kernel->id;
  // The block is copied into the ring under the kernel's lock: another thread may set arguments for its own next launch.
  std::lock_guard lock(kernel->mutex);
  for (const _cl_kernel::Arg& arg : kernel->args)
    if (!arg.set) return CL_INVALID_KERNEL_ARGS;
  if (kernel->block.size() > kMaxKernelArgBytes) return CL_OUT_OF_RESOURCES;
  message.args = kernel->block;
  auto limits = kernel->limits.find(queue->device);
  bool checked = true;
  if (limits != kernel->limits.end()) {
    thread_local cl_device_id known = nullptr;
    thread_local DeviceLimits device;
    if (known != queue->device) {
      device = read_limits(queue->device);
      known = queue->device;
    }
    checked = !surely_legal(device, limits->second, message) || local_bytes(kernel) > device.local_bytes / 2;
  }
  return submit(queue, message, waits, type, event, checked);
}

}  // namespace

namespace api {

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t* offset,
                              const size_t* global, const size_t* local, cl_uint count, const cl_event* events,
                              cl_event* event) {
  WaitList waits;
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  if (queue->context != kernel->program->context) return CL_INVALID_CONTEXT;
  if (dimensions < 1 || dimensions > 3) return CL_INVALID_WORK_DIMENSION;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  protocol::Launch message;
  message.dimensions = static_cast<uint8_t>(dimensions);
  message.has_offset = offset != nullptr;
  message.has_local = local != nullptr;
  for (cl_uint i = 0; i < dimensions; ++i) {
    // From OpenCL 2.1 on no global size means a launch of nothing; the driver knows whether it is that new.
    if (global != nullptr) message.global[i] = global[i];
    if (offset != nullptr) message.offset[i] = offset[i];
    if (local != nullptr) message.local[i] = local[i];
  }
  return launch(queue, kernel, message, waits, CL_COMMAND_NDRANGE_KERNEL, event);
}

cl_int clEnqueueTask(cl_command_queue queue, cl_kernel kernel, cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  if (queue->context != kernel->program->context) return CL_INVALID_CONTEXT;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  protocol::Launch message;
  message.has_local = true;
  message.global = {1, 1, 1};
  message.local = {1, 1, 1};
  return launch(queue, kernel, message, waits, CL_COMMAND_TASK, event);
}

}  // namespace api
}  // namespace amalgam::opencl
