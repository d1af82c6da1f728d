// SPDX-License-Identifier: Apache-2.0
// The world's faults and its stock of memory.
#include <algorithm>

#include "south/device/sim/event.h"
#include "south/device/sim/world.h"

namespace amalgam::south::sim {

void World::lose_device(uint32_t number) {
  std::unique_lock lock(mutex_);
  DeviceState& device = devices_.at(number);
  device.lost = true;
  auto doom = [&](const CommandPtr& command) {
    command->inherited = CL_DEVICE_NOT_AVAILABLE;
    doomed_.push_back(command);
  };
  for (auto& ready : device.ready) {
    std::for_each(ready.begin(), ready.end(), doom);
    ready.clear();
  }
  for (const CommandPtr& command : running_) {
    if (command->device == number) doom(command);
  }
  settle();
  call_back(lock);
}

void World::hang_kernel(uint32_t device, const std::string& kernel) {
  std::lock_guard lock(mutex_);
  devices_.at(device).to_hang.push_back(kernel);
}

void World::unhang(uint32_t number) {
  std::unique_lock lock(mutex_);
  for (const CommandPtr& command : running_) {
    if (command->device != number || !command->hung) continue;
    command->hung = false;
    command->end_ns = now_ns_;
  }
  if (config_.manual)
    call_back(lock);
  else
    pump(lock, UINT64_MAX);
}

void World::slow_link(uint32_t device, uint64_t factor) {
  std::lock_guard lock(mutex_);
  devices_.at(device).link_factor = factor;
}

void World::fail_builds(const std::string& log) {
  std::lock_guard lock(mutex_);
  build_fault_ = log;
}

std::vector<std::string> World::trace() const {
  std::lock_guard lock(mutex_);
  return {trace_.begin(), trace_.end()};
}

bool World::is_lost(uint32_t device) const {
  std::lock_guard lock(mutex_);
  return devices_.at(device).lost;
}

std::string World::build_fault() const {
  std::lock_guard lock(mutex_);
  return build_fault_;
}

uint64_t World::launch_ns(uint64_t items) const {
  return config_.launch_overhead_ns + items * config_.item_ns / std::max(config_.compute_units, 1u);
}

uint64_t World::transfer_ns(uint32_t device, uint64_t bytes) const {
  std::lock_guard lock(mutex_);
  const uint64_t bytes_ns = bytes / std::max<uint64_t>(config_.link_bytes_per_us, 1) * 1000;
  return (config_.transfer_latency_ns + bytes_ns) * devices_.at(device).link_factor;
}

bool World::take_memory(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (bytes > config_.memory_bytes - memory_used_) return false;
  memory_used_ += bytes;
  return true;
}

void World::give_memory(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  memory_used_ -= bytes;
}

}  // namespace amalgam::south::sim
