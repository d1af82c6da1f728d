// SPDX-License-Identifier: Apache-2.0
// NullContext: where a backend makes regions, streams, modules and events. Implement one method after the other, and strike
// its reason from the list in conformance_main.cc.
//
// Threads: dispatcher; link() also from others.
#pragma once

#include "south/device/device.h"

namespace amalgam::south::null {

class NullContext final : public Context {
 public:
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
};

}  // namespace amalgam::south::null
