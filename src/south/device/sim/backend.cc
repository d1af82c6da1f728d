// SPDX-License-Identifier: Apache-2.0
#include "south/device/sim/context.h"
#include "south/device/sim/device.h"
#include "south/device/sim/sim.h"

namespace amalgam::south {
namespace sim {
namespace {

constexpr char kLibrary[] = "sim";

class SimBackend final : public Backend {
 public:
  explicit SimBackend(std::shared_ptr<World> world) : world_(std::move(world)) {}

  std::string_view name() const override { return "sim"; }
  std::vector<std::string> libraries() override { return {kLibrary}; }

  Result<std::vector<model::Device>> discover(const std::string& library) override {
    if (library != kLibrary) return fail(Code::kNotFound, library + ": not a library of the sim");
    std::vector<model::Device> devices;
    for (uint32_t i = 0; i < world_->config().devices; ++i) devices.push_back(describe(*world_, i));
    return devices;
  }

  Result<std::unique_ptr<Device>> open(const model::Device& device) override {
    if (device.library != kLibrary || device.driver_index != 0 || device.device_index >= world_->config().devices) {
      return fail(Code::kNotFound, device.library + ": no such device");
    }
    if (world_->is_lost(device.device_index)) return lost();
    return std::make_unique<SimDevice>(world_, device.device_index, world_->config().compute_units);
  }

  Result<std::unique_ptr<Context>> create_context(std::span<Device* const> devices,
                                                  std::span<const int64_t> /*properties*/) override {
    if (devices.empty()) return refuse("create context: no devices", CL_INVALID_VALUE);
    std::vector<uint32_t> numbers;
    for (Device* device : devices) numbers.push_back(static_cast<SimDevice*>(device)->number());
    return std::make_unique<SimContext>(world_, std::move(numbers));
  }

 private:
  std::shared_ptr<World> world_;
};

}  // namespace
}  // namespace sim

std::unique_ptr<Backend> make_sim_backend(std::shared_ptr<SimController> controller) {
  return std::make_unique<sim::SimBackend>(std::static_pointer_cast<sim::World>(std::move(controller)));
}

std::unique_ptr<Backend> make_sim_backend(const SimConfig& config) { return make_sim_backend(make_sim_controller(config)); }

}  // namespace amalgam::south
