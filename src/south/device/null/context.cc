// SPDX-License-Identifier: Apache-2.0
#include "south/device/null/context.h"

#include "south/device/null/unsupported.h"

namespace amalgam::south::null {

Result<std::unique_ptr<Stream>> NullContext::create_stream(Device& /*device*/, std::span<const uint64_t> /*properties*/) {
  return unsupported("create stream");
}

Result<std::unique_ptr<Region>> NullContext::create_region(uint64_t /*flags*/, uint64_t /*size*/, std::byte* /*memory*/) {
  return unsupported("create region");
}

Result<std::unique_ptr<Region>> NullContext::create_image(const ImageSpec& /*spec*/) { return unsupported("create image"); }

Result<std::unique_ptr<Sampler>> NullContext::create_sampler(std::span<const uint64_t> /*properties*/) {
  return unsupported("create sampler");
}

Result<EventPtr> NullContext::create_user_event() { return unsupported("create user event"); }

Result<std::unique_ptr<Module>> NullContext::create_module(const ModuleSpec& /*spec*/, std::vector<int32_t>& /*statuses*/) {
  return unsupported("create module");
}

Result<void> NullContext::link(std::span<Device* const> /*devices*/, const std::string& /*options*/,
                               std::span<Module* const> /*inputs*/, std::unique_ptr<Module>& /*out*/) {
  return unsupported("link");
}

Result<std::vector<uint32_t>> NullContext::image_formats(uint64_t /*flags*/, uint32_t /*image_type*/) {
  return unsupported("image formats");
}

Result<Bytes> NullContext::query(uint32_t /*param*/) { return unsupported("query context"); }

}  // namespace amalgam::south::null
