// SPDX-License-Identifier: Apache-2.0
#include "south/device/sim/context.h"

#include <algorithm>

#include "south/device/sim/device.h"
#include "south/device/sim/module.h"
#include "south/device/sim/stream.h"

namespace amalgam::south::sim {
namespace {

std::string joined(const std::vector<std::span<const std::byte>>& blobs) {
  std::string text;
  for (std::span<const std::byte> blob : blobs) text.append(reinterpret_cast<const char*>(blob.data()), blob.size());
  return text;
}

std::string kernel_lines(const std::string& names) {
  std::string text;
  for (size_t at = 0; at < names.size();) {
    size_t end = std::min(names.find(';', at), names.size());
    text += "kernel " + names.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<Stream>> SimContext::create_stream(Device& device, std::span<const uint64_t> properties) {
  const uint32_t number = static_cast<SimDevice&>(device).number();
  if (std::find(devices_.begin(), devices_.end(), number) == devices_.end()) {
    return refuse("create stream: not a device of the context", CL_INVALID_DEVICE);
  }
  if (world_->is_lost(number)) return lost();
  uint64_t bits = 0;
  for (size_t i = 0; i + 1 < properties.size() && properties[i] != 0; i += 2) {
    if (properties[i] != CL_QUEUE_PROPERTIES) return refuse("create stream: property", CL_INVALID_VALUE);
    bits = properties[i + 1];
  }
  constexpr uint64_t kKnown = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE;
  if ((bits & ~kKnown) != 0) return refuse("create stream: queue properties", CL_INVALID_QUEUE_PROPERTIES);
  return std::make_unique<SimStream>(world_, number, (bits & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) == 0);
}

Result<std::unique_ptr<Region>> SimContext::create_region(uint64_t flags, uint64_t size, std::byte* memory) {
  if (size == 0 || size > world_->config().max_alloc_bytes) return refuse("create region: size", CL_INVALID_BUFFER_SIZE);
  if (std::all_of(devices_.begin(), devices_.end(), [&](uint32_t device) { return world_->is_lost(device); })) return lost();
  if (!world_->take_memory(size)) {
    return fail(Code::kOutOfMemory, "create region: the sim device is full", CL_MEM_OBJECT_ALLOCATION_FAILURE);
  }
  if (!world_->config().shared_memory) memory = nullptr;
  return std::make_unique<SimRegion>(std::make_shared<Storage>(world_, size, memory), flags, 0, size, false);
}

Result<std::unique_ptr<Region>> SimContext::create_image(const ImageSpec& /*spec*/) { return unsupported("create image"); }

Result<std::unique_ptr<Sampler>> SimContext::create_sampler(std::span<const uint64_t> /*properties*/) {
  return unsupported("create sampler");
}

Result<EventPtr> SimContext::create_user_event() { return std::make_shared<SimEvent>(world_, true); }

Result<std::unique_ptr<Module>> SimContext::create_module(const ModuleSpec& spec, std::vector<int32_t>& statuses) {
  const auto devices = static_cast<uint32_t>(devices_.size());
  switch (spec.format) {
    case protocol::ModuleFormat::kSource:
      if (spec.blobs.empty()) return refuse("create module: no source", CL_INVALID_VALUE);
      return std::make_unique<SimModule>(world_, joined(spec.blobs), false, devices);
    case protocol::ModuleFormat::kBuiltin:
      return std::make_unique<SimModule>(world_, kernel_lines(spec.builtin_names), false, devices);
    case protocol::ModuleFormat::kIl: return unsupported("create module: IL");
    case protocol::ModuleFormat::kBinary: break;
  }
  if (spec.blobs.empty() || spec.blobs.size() != spec.devices.size())
    return refuse("create module: binaries", CL_INVALID_VALUE);
  statuses.clear();
  for (std::span<const std::byte> blob : spec.blobs) {
    const bool good = is_binary({reinterpret_cast<const char*>(blob.data()), blob.size()});
    statuses.push_back(good ? CL_SUCCESS : CL_INVALID_BINARY);
  }
  if (std::count(statuses.begin(), statuses.end(), CL_SUCCESS) != static_cast<ptrdiff_t>(statuses.size())) {
    return refuse("create module: not a binary of the sim", CL_INVALID_BINARY);
  }
  return std::make_unique<SimModule>(world_, joined({spec.blobs[0]}), true, devices);
}

Result<void> SimContext::link(std::span<Device* const> /*devices*/, const std::string& options,
                              std::span<Module* const> inputs, std::unique_ptr<Module>& out) {
  if (inputs.empty()) return refuse("link: no modules", CL_INVALID_VALUE);
  auto module = std::make_unique<SimModule>(world_, std::string(), true, static_cast<uint32_t>(devices_.size()));
  auto verdict = module->link(inputs, options);
  // Only a failed link leaves a module with a log; a refused one leaves nothing.
  if (verdict || verdict.error().native == CL_LINK_PROGRAM_FAILURE) out = std::move(module);
  return verdict;
}

Result<std::vector<uint32_t>> SimContext::image_formats(uint64_t /*flags*/, uint32_t /*image_type*/) {
  return std::vector<uint32_t>();
}

Result<Bytes> SimContext::query(uint32_t param) {
  if (param == CL_CONTEXT_NUM_DEVICES) return bytes_of(static_cast<cl_uint>(devices_.size()));
  return refuse("query context: no such parameter", CL_INVALID_VALUE);
}

}  // namespace amalgam::south::sim
