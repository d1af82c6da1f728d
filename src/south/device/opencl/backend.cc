// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/backend.h"

#include "south/device/opencl/context.h"
#include "south/device/opencl/describe.h"
#include "south/device/opencl/device.h"
#include "south/device/opencl/icd.h"
#include "south/device/opencl/residency_probe.h"

namespace amalgam::south {

std::unique_ptr<Backend> make_opencl_backend() { return std::make_unique<opencl::OpenClBackend>(); }

namespace opencl {

std::vector<std::string> OpenClBackend::libraries() { return vendor_libraries(vendor_folders()); }

Result<const std::vector<PlatformPtr>*> OpenClBackend::driver(const std::string& library) {
  auto found = drivers_.find(library);
  if (found == drivers_.end()) {
    auto platforms = load_driver(library);
    if (!platforms) return fail(std::move(platforms.error()));
    found = drivers_.emplace(library, std::move(*platforms)).first;
  }
  return &found->second;
}

Result<std::vector<model::Device>> OpenClBackend::discover(const std::string& library) {
  auto platforms = driver(library);
  if (!platforms) return fail(std::move(platforms.error()));
  std::vector<model::Device> all;
  for (uint32_t number = 0; number < (*platforms)->size(); ++number) {
    const PlatformPtr& platform = (**platforms)[number];
    auto ids = list_devices(*platform);
    if (!ids) return fail(std::move(ids.error()).within(library));
    for (uint32_t index = 0; index < ids->size() && all.size() < kMaxDevices; ++index) {
      model::Device device = describe(*platform, (*ids)[index]);
      device.library = library;
      device.driver_index = number;
      device.device_index = index;
      if (device.health == model::Health::kHealthy) {
        ClDevice opened(platform, (*ids)[index]);
        probe(*this, opened, device);
      }
      all.push_back(std::move(device));
    }
  }
  return all;
}

Result<std::unique_ptr<Device>> OpenClBackend::open(const model::Device& device) {
  auto platforms = driver(device.library);
  if (!platforms) return fail(std::move(platforms.error()));
  if (device.driver_index >= (*platforms)->size()) {
    return fail(Code::kNotFound, device.library + ": no platform " + std::to_string(device.driver_index));
  }
  const PlatformPtr& platform = (**platforms)[device.driver_index];
  auto ids = list_devices(*platform);
  if (!ids) return fail(std::move(ids.error()).within(device.library));
  if (device.device_index >= ids->size()) {
    return fail(Code::kNotFound, platform->name() + ": no device " + std::to_string(device.device_index));
  }
  return std::make_unique<ClDevice>(platform, (*ids)[device.device_index]);
}

Result<std::unique_ptr<Context>> OpenClBackend::create_context(std::span<Device* const> devices,
                                                               std::span<const int64_t> properties) {
  return create_cl_context(devices, properties);
}

}  // namespace opencl
}  // namespace amalgam::south
