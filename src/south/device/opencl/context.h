// SPDX-License-Identifier: Apache-2.0
// ClContext: a cl_context; makes everything that lives in one.
//
// Threads: dispatcher; link() also from others.
#pragma once

#include <memory>

#include "south/device/opencl/event_poller.h"
#include "south/device/opencl/owned.h"

namespace amalgam::south::opencl {

class ClContext final : public Context {
 public:
  ClContext(PlatformPtr platform, cl_context context) : platform_(std::move(platform)), context_(context) {}

  Result<std::unique_ptr<Stream>> create_stream(Device& device, std::span<const uint64_t> properties) override;
  Result<std::unique_ptr<Region>> create_region(uint64_t flags, uint64_t size, std::byte* memory) override;
  Result<std::unique_ptr<Region>> create_image(const ImageSpec& spec) override;
  Result<std::unique_ptr<Sampler>> create_sampler(std::span<const uint64_t> properties) override;
  Result<EventPtr> create_user_event() override;
  Result<std::unique_ptr<Module>> create_module(const ModuleSpec& spec, std::vector<int32_t>& statuses) override;
  Result<void> link(std::span<Device* const> devices, const std::string& options, std::span<Module* const> inputs,
                    std::unique_ptr<Module>& out) override;
  Result<std::vector<uint32_t>> image_formats(uint64_t flags, uint32_t image_type) override;
  Result<Bytes> query(uint32_t param) override;

  cl_context handle() const { return context_.get(); }

 private:
  PlatformPtr platform_;
  Owned<cl_context> context_;
};

/// A context of devices of one platform; `properties` without CL_CONTEXT_PLATFORM.
Result<std::unique_ptr<Context>> create_cl_context(std::span<Device* const> devices, std::span<const int64_t> properties);

}  // namespace amalgam::south::opencl
