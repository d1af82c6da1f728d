// SPDX-License-Identifier: Apache-2.0
// ClDevice: a cl_device_id, the driver's own or a part that we made of one.
//
// Threads: dispatcher. Lifetime: a part gives its reference back; root devices have none to give.
#pragma once

#include <memory>
#include <span>

#include "south/device/opencl/event_poller.h"
#include "south/device/opencl/owned.h"

namespace amalgam::south::opencl {

class ClDevice final : public Device {
 public:
  ClDevice(PlatformPtr platform, cl_device_id id) : platform_(std::move(platform)), id_(id) {}
  ClDevice(PlatformPtr platform, Owned<cl_device_id> part)
      : platform_(std::move(platform)), id_(part.get()), part_(std::move(part)) {}

  Result<Bytes> query(uint32_t param) override;
  Result<uint32_t> count_parts(std::span<const int64_t> properties) override;
  Result<std::vector<std::unique_ptr<Device>>> partition(std::span<const int64_t> properties) override;
  Result<std::array<uint64_t, 2>> timer() override;

  cl_device_id id() const { return id_; }
  const PlatformPtr& platform() const { return platform_; }

 private:
  PlatformPtr platform_;
  cl_device_id id_;
  Owned<cl_device_id> part_;
};

std::vector<cl_device_id> handles_of(std::span<Device* const> devices);

}  // namespace amalgam::south::opencl
