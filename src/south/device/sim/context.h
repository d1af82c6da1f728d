// SPDX-License-Identifier: Apache-2.0
// SimContext: makes what lives in one session of the world.
//
// Threads: dispatcher; link() also from others.
#pragma once

#include "south/device/sim/world.h"

namespace amalgam::south::sim {

class SimContext final : public Context {
 public:
  SimContext(std::shared_ptr<World> world, std::vector<uint32_t> devices)
      : world_(std::move(world)), devices_(std::move(devices)) {}

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

 private:
  std::shared_ptr<World> world_;
  std::vector<uint32_t> devices_;
};

}  // namespace amalgam::south::sim
