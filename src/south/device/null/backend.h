// SPDX-License-Identifier: Apache-2.0
// NullBackend: where a backend keeps the drivers that it has opened.
//
// Threads: one at a time, as device.h promises.
#pragma once

#include "south/device/null/null.h"

namespace amalgam::south::null {

class NullBackend final : public Backend {
 public:
  std::string_view name() const override { return "null"; }
  /// What can be probed one by one; a real backend names its driver libraries here and opens none.
  std::vector<std::string> libraries() override;
  Result<std::vector<model::Device>> discover(const std::string& library) override;
  Result<std::unique_ptr<Device>> open(const model::Device& device) override;
  Result<std::unique_ptr<Context>> create_context(std::span<Device* const> devices,
                                                  std::span<const int64_t> properties) override;
};

}  // namespace amalgam::south::null
