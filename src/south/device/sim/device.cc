// SPDX-License-Identifier: Apache-2.0
#include "south/device/sim/device.h"

#include "south/device/sim/kernel.h"
#include "south/device/sim/module_text.h"
#include "south/device/sim/region.h"

namespace amalgam::south::sim {
namespace {

using model::Interface;

struct Answer {
  uint32_t param;
  Bytes value;
};

/// One table for discover() and query(), so that they cannot differ.
std::vector<Answer> answers(const World& world, uint32_t number, uint32_t units) {
  const SimConfig& config = world.config();
  const cl_bool yes = CL_TRUE, no = CL_FALSE;
  const std::array<size_t, 3> item_sizes = {kMaxWorkGroup, kMaxWorkGroup, kMaxWorkGroup};
  const cl_command_queue_properties queues = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE;
  const cl_device_svm_capabilities svm = config.shared_memory ? CL_DEVICE_SVM_COARSE_GRAIN_BUFFER : 0;
  return {
      {CL_DEVICE_TYPE, bytes_of(cl_device_type{CL_DEVICE_TYPE_ACCELERATOR})},
      {CL_DEVICE_NAME, bytes_of("sim " + std::to_string(number))},
      {CL_DEVICE_VENDOR, bytes_of(std::string("Amalgam"))},
      {CL_DEVICE_VERSION, bytes_of(std::string("OpenCL 3.0 sim"))},
      {CL_DRIVER_VERSION, bytes_of(std::string("1"))},
      {CL_DEVICE_PROFILE, bytes_of(std::string("FULL_PROFILE"))},
      {CL_DEVICE_EXTENSIONS, bytes_of(std::string())},
      {CL_DEVICE_MAX_COMPUTE_UNITS, bytes_of(cl_uint{units})},
      {CL_DEVICE_MAX_CLOCK_FREQUENCY, bytes_of(cl_uint{1000})},
      {CL_DEVICE_ADDRESS_BITS, bytes_of(cl_uint{64})},
      {CL_DEVICE_GLOBAL_MEM_SIZE, bytes_of(cl_ulong{config.memory_bytes})},
      {CL_DEVICE_MAX_MEM_ALLOC_SIZE, bytes_of(cl_ulong{config.max_alloc_bytes})},
      {CL_DEVICE_LOCAL_MEM_SIZE, bytes_of(cl_ulong{kLocalMemory})},
      {CL_DEVICE_MEM_BASE_ADDR_ALIGN, bytes_of(static_cast<cl_uint>(kSubRegionAlignment * 8))},
      {CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS, bytes_of(cl_uint{3})},
      {CL_DEVICE_MAX_WORK_ITEM_SIZES, bytes_of(item_sizes)},
      {CL_DEVICE_MAX_WORK_GROUP_SIZE, bytes_of(size_t{kMaxWorkGroup})},
      {CL_DEVICE_HOST_UNIFIED_MEMORY, bytes_of(config.shared_memory ? yes : no)},
      {CL_DEVICE_AVAILABLE, bytes_of(world.is_lost(number) ? no : yes)},
      {CL_DEVICE_COMPILER_AVAILABLE, bytes_of(yes)},
      {CL_DEVICE_LINKER_AVAILABLE, bytes_of(yes)},
      {CL_DEVICE_IMAGE_SUPPORT, bytes_of(no)},
      {CL_DEVICE_QUEUE_ON_HOST_PROPERTIES, bytes_of(queues)},
      {CL_DEVICE_SVM_CAPABILITIES, bytes_of(svm)},
      {CL_DEVICE_PARTITION_MAX_SUB_DEVICES, bytes_of(cl_uint{units})},
      {CL_DEVICE_PARTITION_PROPERTIES, bytes_of(cl_device_partition_property{CL_DEVICE_PARTITION_EQUALLY})},
      {CL_DEVICE_PROFILING_TIMER_RESOLUTION, bytes_of(size_t{1})},
      {CL_DEVICE_ENDIAN_LITTLE, bytes_of(yes)},
  };
}

}  // namespace

Result<Bytes> SimDevice::query(uint32_t param) {
  for (Answer& answer : answers(*world_, number_, units_)) {
    if (answer.param == param) return std::move(answer.value);
  }
  return refuse("query device: no such parameter", CL_INVALID_VALUE);
}

Result<uint32_t> SimDevice::count_parts(std::span<const int64_t> properties) {
  if (properties.size() < 2 || properties[0] != CL_DEVICE_PARTITION_EQUALLY || properties[1] <= 0) {
    return refuse("partition: only equally", CL_INVALID_VALUE);
  }
  const auto parts = static_cast<uint32_t>(units_ / static_cast<uint64_t>(properties[1]));
  if (parts == 0) return fail(Code::kDriver, "partition: too few compute units", CL_DEVICE_PARTITION_FAILED);
  return parts;
}

Result<std::vector<std::unique_ptr<Device>>> SimDevice::partition(std::span<const int64_t> properties) {
  auto count = count_parts(properties);
  if (!count) return fail(std::move(count.error()));
  std::vector<std::unique_ptr<Device>> parts;
  for (uint32_t i = 0; i < *count; ++i) {
    parts.push_back(std::make_unique<SimDevice>(world_, number_, static_cast<uint32_t>(properties[1])));
  }
  return parts;
}

Result<std::array<uint64_t, 2>> SimDevice::timer() {
  uint64_t now = world_->now_ns();
  return std::array<uint64_t, 2>{now, now};
}

model::Device describe(const World& world, uint32_t number) {
  const SimConfig& config = world.config();
  model::Device device;
  device.backend = "sim";
  device.name = "sim " + std::to_string(number);
  device.vendor = "Amalgam";
  device.driver = "sim 1";
  device.library = "sim";
  device.memory_pool = "sim";
  device.kind = model::DeviceKind::kOther;
  device.residency = config.shared_memory ? model::Residency::kShared : model::Residency::kStaged;
  device.svm_on_heap = config.shared_memory;
  device.device_index = number;
  device.compute_units = config.compute_units;
  device.clock_mhz = 1000;
  device.memory_bytes = config.memory_bytes;
  device.max_alloc_bytes = config.max_alloc_bytes;
  if (world.is_lost(number)) {
    device.health = model::Health::kSick;
    device.health_text = "the device is lost";
  }
  for (const Answer& answer : answers(world, number, config.compute_units)) {
    const auto* data = reinterpret_cast<const uint8_t*>(answer.value.data());
    device.properties.push_back({Interface::kOpenCl, answer.param, {data, data + answer.value.size()}});
  }
  return device;
}

}  // namespace amalgam::south::sim
