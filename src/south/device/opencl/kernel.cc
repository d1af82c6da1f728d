// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/kernel.h"

#include <algorithm>
#include <cstring>

#include "south/device/opencl/device.h"
#include "south/device/opencl/region.h"
#include "south/device/opencl/stream.h"

namespace amalgam::south::opencl {
namespace {

using protocol::ArgKind;
using protocol::QueryTarget;

Error front_door_answers() {
  return Error(Code::kUnsupported, "query kernel: the front door answers this", CL_INVALID_VALUE);
}

}  // namespace

Result<void> ClKernel::set_handle(uint32_t index, uint64_t size, const void* handle) {
  // The size is the program's, which the driver shall judge; but some drivers copy before they judge, so there is always
  // that much to read.
  if (size <= sizeof handle)
    return AMALGAM_CL(*platform_, this->handle(), clSetKernelArg, this->handle(), index, size, &handle);
  if (size > kMaxKernelArgBytes) return fail(driver_error("clSetKernelArg", CL_INVALID_ARG_SIZE));
  Bytes padded(size);
  std::memcpy(padded.data(), &handle, sizeof handle);
  return AMALGAM_CL(*platform_, this->handle(), clSetKernelArg, this->handle(), index, size, padded.data());
}

Result<void> ClKernel::set_region(const Argument& arg) {
  AMALGAM_TRY(set_handle(arg.index, arg.size, handle_of(arg.region)), "set argument");
  const TwinPtr twin = arg.region != nullptr ? static_cast<ClRegion*>(arg.region)->twin() : nullptr;
  if (twin != nullptr)
    twins_[arg.index] = twin;
  else
    twins_.erase(arg.index);
  return {};
}

Twins ClKernel::twins() const {
  Twins all;
  for (const auto& [index, twin] : twins_)
    if (std::ranges::find(all, twin) == all.end()) all.push_back(twin);
  return all;
}

Result<void> ClKernel::set_arg(const Argument& arg) {
  switch (arg.kind) {
    case ArgKind::kBytes:
      if (arg.bytes.size() < arg.size)
        return fail(Code::kInvalidArgument, "set argument: too few bytes", CL_INVALID_ARG_SIZE);
      return AMALGAM_CL(*platform_, handle(), clSetKernelArg, handle(), arg.index, arg.size, arg.bytes.data());
    case ArgKind::kLocal: return AMALGAM_CL(*platform_, handle(), clSetKernelArg, handle(), arg.index, arg.size, nullptr);
    case ArgKind::kRegion: return set_region(arg);
    case ArgKind::kSampler:
      return set_handle(arg.index, arg.size,
                        arg.sampler != nullptr ? static_cast<ClSampler*>(arg.sampler)->handle() : nullptr);
    case ArgKind::kStream:
      return set_handle(arg.index, arg.size, arg.stream != nullptr ? static_cast<ClStream*>(arg.stream)->handle() : nullptr);
    case ArgKind::kPointer:
      return AMALGAM_CL(*platform_, handle(), clSetKernelArgSVMPointer, handle(), arg.index, arg.pointer);
  }
  return fail(Code::kInvalidArgument, "set argument: no such kind", CL_INVALID_ARG_VALUE);
}

Result<void> ClKernel::set_exec_info(uint32_t param, std::span<const std::byte> value) {
  // The pointers lie in memory that is ours. Some drivers refuse what they did not allocate themselves, and none has to be
  // told: the residency probe has seen that kernels follow plain addresses there.
  const bool are_pointers = !value.empty() && value.size() % sizeof(void*) == 0;
  if (param == CL_KERNEL_EXEC_INFO_SVM_PTRS && are_pointers) return {};
  return AMALGAM_CL(*platform_, handle(), clSetKernelExecInfo, handle(), param, value.size(),
                    value.empty() ? nullptr : value.data());
}

Result<std::unique_ptr<Kernel>> ClKernel::clone() {
  auto copy = AMALGAM_CL_CREATE(*platform_, handle(), clCloneKernel, handle());
  if (!copy) return fail(std::move(copy.error()));
  auto kernel = std::make_unique<ClKernel>(platform_, *copy);
  kernel->twins_ = twins_;
  return kernel;
}

Result<Bytes> ClKernel::query(QueryTarget target, Device* device, uint32_t param, uint32_t index,
                              std::span<const std::byte> input) {
  cl_device_id id = device != nullptr ? static_cast<ClDevice*>(device)->id() : nullptr;
  switch (target) {
    case QueryTarget::kKernel:
      if (param == CL_KERNEL_CONTEXT || param == CL_KERNEL_PROGRAM || param == CL_KERNEL_REFERENCE_COUNT) {
        return fail(front_door_answers());
      }
      return AMALGAM_CL_QUERY(*platform_, handle(), clGetKernelInfo, handle(), param);
    case QueryTarget::kKernelArg: return AMALGAM_CL_QUERY(*platform_, handle(), clGetKernelArgInfo, handle(), index, param);
    case QueryTarget::kKernelWorkGroup:
      return AMALGAM_CL_QUERY(*platform_, handle(), clGetKernelWorkGroupInfo, handle(), id, param);
    case QueryTarget::kKernelSubGroup: return query_sub_group(id, param, index, input);
    case QueryTarget::kKernelSuggestedLocal: return suggest_local(device, input);
    default: return fail(Code::kInvalidArgument, "query kernel: not a kernel's", CL_INVALID_VALUE);
  }
}

Result<Bytes> ClKernel::query_sub_group(cl_device_id device, uint32_t param, uint32_t room,
                                        std::span<const std::byte> input) {
  constexpr uint32_t kMaxRoom = 3 * sizeof(size_t);
  auto get = platform_->entry(handle(), &cl_icd_dispatch::clGetKernelSubGroupInfo);
  if (get == nullptr) {
    get = reinterpret_cast<cl_api_clGetKernelSubGroupInfo>(platform_->extension("clGetKernelSubGroupInfoKHR"));
  }
  if (get == nullptr) return fail(missing_entry("clGetKernelSubGroupInfo"));
  const void* data = input.empty() ? nullptr : input.data();
  if (param != CL_KERNEL_LOCAL_SIZE_FOR_SUB_GROUP_COUNT || room == 0)
    return query_bytes("clGetKernelSubGroupInfo", get, handle(), device, param, input.size(), data);
  Bytes bytes(std::min(room, kMaxRoom));
  size_t size = 0;
  AMALGAM_TRY(checked("clGetKernelSubGroupInfo",
                      get(handle(), device, param, input.size(), data, bytes.size(), bytes.data(), &size)),
              "query kernel");
  bytes.resize(std::min(size, bytes.size()));
  return bytes;
}

Result<Bytes> ClKernel::suggest_local(Device* device, std::span<const std::byte> input) {
  auto suggest = reinterpret_cast<clGetKernelSuggestedLocalWorkSizeKHR_fn>(
      platform_->extension("clGetKernelSuggestedLocalWorkSizeKHR"));
  if (suggest == nullptr || device == nullptr) return fail(missing_entry("clGetKernelSuggestedLocalWorkSizeKHR"));
  const size_t dimensions = input.size() / (2 * sizeof(uint64_t));
  if (dimensions < 1 || dimensions > 3) return fail(driver_error("suggest local size", CL_INVALID_WORK_DIMENSION));
  size_t offset[3] = {}, global[3] = {}, local[3] = {};
  std::memcpy(offset, input.data(), dimensions * sizeof(size_t));
  std::memcpy(global, input.data() + dimensions * sizeof(size_t), dimensions * sizeof(size_t));

  // The extension wants a queue where only its device matters.
  cl_context context = nullptr;
  AMALGAM_TRY(
      AMALGAM_CL(*platform_, handle(), clGetKernelInfo, handle(), CL_KERNEL_CONTEXT, sizeof context, &context, nullptr),
      "suggest local size");
  auto queue = AMALGAM_CL_CREATE(*platform_, context, clCreateCommandQueue, context, static_cast<ClDevice*>(device)->id(),
                                 cl_command_queue_properties{0});
  if (!queue) return fail(std::move(queue.error()));
  Owned<cl_command_queue> own(*queue);
  AMALGAM_TRY(checked("clGetKernelSuggestedLocalWorkSizeKHR",
                      suggest(own.get(), handle(), static_cast<cl_uint>(dimensions), offset, global, local)),
              "suggest local size");
  Bytes bytes(dimensions * sizeof(size_t));
  std::memcpy(bytes.data(), local, bytes.size());
  return bytes;
}

}  // namespace amalgam::south::opencl
