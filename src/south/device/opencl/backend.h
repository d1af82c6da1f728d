// SPDX-License-Identifier: Apache-2.0
// OpenClBackend: the drivers that this process has opened.
//
// Threads: one at a time. Lifetime: objects made through it do not need it afterwards.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "south/device/opencl/driver.h"
#include "south/device/opencl/event_poller.h"
#include "south/device/opencl/opencl.h"

namespace amalgam::south::opencl {

class OpenClBackend final : public Backend {
 public:
  std::string_view name() const override { return "opencl"; }
  std::vector<std::string> libraries() override;
  Result<std::vector<model::Device>> discover(const std::string& library) override;
  Result<std::unique_ptr<Device>> open(const model::Device& device) override;
  Result<std::unique_ptr<Context>> create_context(std::span<Device* const> devices,
                                                  std::span<const int64_t> properties) override;

 private:
  Result<const std::vector<PlatformPtr>*> driver(const std::string& library);

  std::map<std::string, std::vector<PlatformPtr>> drivers_;
};

}  // namespace amalgam::south::opencl
