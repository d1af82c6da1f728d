// SPDX-License-Identifier: Apache-2.0
// NullDevice: where a backend keeps the driver's handle of a device.
//
// Threads: dispatcher.
#pragma once

#include "south/device/device.h"

namespace amalgam::south::null {

class NullDevice final : public Device {
 public:
  Result<Bytes> query(uint32_t param) override;
  Result<uint32_t> count_parts(std::span<const int64_t> properties) override;
  Result<std::vector<std::unique_ptr<Device>>> partition(std::span<const int64_t> properties) override;
  Result<std::array<uint64_t, 2>> timer() override;
};

}  // namespace amalgam::south::null
