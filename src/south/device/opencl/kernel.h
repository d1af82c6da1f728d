// SPDX-License-Identifier: Apache-2.0
// ClKernel: a cl_kernel.
//
// Threads: dispatcher. Lifetime: enqueued launches keep the arguments that they were enqueued with; the driver sees to it.
#pragma once

#include <map>

#include "south/device/opencl/image_twin.h"

namespace amalgam::south::opencl {

class ClKernel final : public Kernel {
 public:
  ClKernel(PlatformPtr platform, cl_kernel kernel) : platform_(std::move(platform)), kernel_(kernel) {}

  Result<void> set_arg(const Argument& arg) override;
  Result<void> set_exec_info(uint32_t param, std::span<const std::byte> value) override;
  Result<std::unique_ptr<Kernel>> clone() override;
  /// kKernelSuggestedLocal: `input` is u64 offset[n] then u64 global[n], for n dimensions.
  Result<Bytes> query(protocol::QueryTarget target, Device* device, uint32_t param, uint32_t index,
                      std::span<const std::byte> input) override;

  cl_kernel handle() const { return kernel_.get(); }
  /// Of the images among the arguments.
  Twins twins() const;

 private:
  Result<void> set_region(const Argument& arg);
  Result<void> set_handle(uint32_t index, uint64_t size, const void* handle);
  Result<Bytes> query_sub_group(cl_device_id device, uint32_t param, uint32_t room, std::span<const std::byte> input);
  Result<Bytes> suggest_local(Device* device, std::span<const std::byte> input);

  PlatformPtr platform_;
  Owned<cl_kernel> kernel_;
  std::map<uint32_t, TwinPtr> twins_;  ///< by argument
};

}  // namespace amalgam::south::opencl
