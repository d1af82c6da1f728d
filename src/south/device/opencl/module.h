// SPDX-License-Identifier: Apache-2.0
// ClModule: a cl_program. Builds run on the calling thread: the driver is given no callback, so an error comes back from the
// call that caused it, and whoever must not wait uses another thread.
//
// Threads: build and compile of different modules at the same time; everything else from the dispatcher.
#pragma once

#include "south/device/opencl/owned.h"

namespace amalgam::south::opencl {

class ClModule final : public Module {
 public:
  ClModule(PlatformPtr platform, cl_program program) : platform_(std::move(platform)), program_(program) {}

  Result<void> build(std::span<Device* const> devices, const std::string& options) override;
  Result<void> compile(std::span<Device* const> devices, const std::string& options, std::span<Module* const> headers,
                       const std::vector<std::string>& header_names) override;
  Result<void> set_spec_constant(uint32_t constant, std::span<const std::byte> value) override;
  Result<std::unique_ptr<Kernel>> create_kernel(const std::string& name) override;
  Result<Bytes> query(uint32_t param, uint32_t index) override;
  Result<Bytes> query_build(Device& device, uint32_t param) override;

  cl_program handle() const { return program_.get(); }

 private:
  Result<Bytes> binary(uint32_t index);

  PlatformPtr platform_;
  Owned<cl_program> program_;
};

/// What a driver makes of `spec`: source, IL, binaries or built-in kernels.
Result<std::unique_ptr<Module>> create_program(const PlatformPtr& platform, cl_context context, const ModuleSpec& spec,
                                               std::vector<int32_t>& statuses);

Result<void> link_program(const PlatformPtr& platform, cl_context context, std::span<Device* const> devices,
                          const std::string& options, std::span<Module* const> inputs, std::unique_ptr<Module>& out);

}  // namespace amalgam::south::opencl
