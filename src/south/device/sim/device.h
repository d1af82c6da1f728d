// SPDX-License-Identifier: Apache-2.0
// SimDevice: one device of the world, or an equal part of one; parts share its engines.
//
// Threads: dispatcher.
#pragma once

#include "south/device/sim/world.h"

namespace amalgam::south::sim {

class SimDevice final : public Device {
 public:
  SimDevice(std::shared_ptr<World> world, uint32_t number, uint32_t units)
      : world_(std::move(world)), number_(number), units_(units) {}

  Result<Bytes> query(uint32_t param) override;
  Result<uint32_t> count_parts(std::span<const int64_t> properties) override;
  Result<std::vector<std::unique_ptr<Device>>> partition(std::span<const int64_t> properties) override;
  Result<std::array<uint64_t, 2>> timer() override;

  const std::shared_ptr<World>& world() const { return world_; }
  uint32_t number() const { return number_; }

 private:
  std::shared_ptr<World> world_;
  const uint32_t number_, units_;
};

/// What discover() says of device `number`.
model::Device describe(const World& world, uint32_t number);

}  // namespace amalgam::south::sim
