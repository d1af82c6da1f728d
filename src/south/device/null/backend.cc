// SPDX-License-Identifier: Apache-2.0
#include "south/device/null/backend.h"

#include "south/device/null/context.h"
#include "south/device/null/device.h"

namespace amalgam::south {

std::unique_ptr<Backend> make_null_backend() { return std::make_unique<null::NullBackend>(); }

namespace null {
namespace {

constexpr char kLibrary[] = "null";

}  // namespace

std::vector<std::string> NullBackend::libraries() { return {kLibrary}; }

Result<std::vector<model::Device>> NullBackend::discover(const std::string& library) {
  if (library != kLibrary) return fail(Code::kNotFound, library + ": not a library of the null backend");
  model::Device device;
  device.backend = "null";
  device.name = "null device";
  device.vendor = "Amalgam";
  device.driver = "null 1";
  device.library = library;
  device.memory_pool = "null";
  return std::vector<model::Device>{std::move(device)};
}

Result<std::unique_ptr<Device>> NullBackend::open(const model::Device& device) {
  if (device.library != kLibrary || device.driver_index != 0 || device.device_index != 0) {
    return fail(Code::kNotFound, device.library + ": no such device");
  }
  return std::make_unique<NullDevice>();
}

Result<std::unique_ptr<Context>> NullBackend::create_context(std::span<Device* const> devices,
                                                             std::span<const int64_t> /*properties*/) {
  if (devices.empty()) return fail(Code::kInvalidArgument, "create context: no devices");
  return std::make_unique<NullContext>();
}

}  // namespace null
}  // namespace amalgam::south
