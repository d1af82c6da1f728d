// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/context.h"

#include <algorithm>

#include "south/device/opencl/device.h"
#include "south/device/opencl/event.h"
#include "south/device/opencl/module.h"
#include "south/device/opencl/region.h"
#include "south/device/opencl/stream.h"

namespace amalgam::south::opencl {
namespace {

constexpr uint64_t kHostPointerFlags = CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR | CL_MEM_ALLOC_HOST_PTR;
constexpr cl_uint kMaxImageFormats = 4096;

}  // namespace

Result<std::unique_ptr<Context>> create_cl_context(std::span<Device* const> devices, std::span<const int64_t> properties) {
  if (devices.empty()) return fail(driver_error("create context", CL_INVALID_VALUE));
  const auto& first = static_cast<const ClDevice&>(*devices[0]);
  const PlatformPtr& platform = first.platform();
  for (Device* device : devices) {
    if (static_cast<ClDevice*>(device)->platform() != platform) {
      return fail(Code::kInvalidArgument, "create context: devices of two drivers", CL_INVALID_DEVICE);
    }
  }
  std::vector<cl_context_properties> list = {CL_CONTEXT_PLATFORM, reinterpret_cast<cl_context_properties>(platform->id())};
  for (size_t i = 0; i + 1 < properties.size() && properties[i] != 0; i += 2) {
    if (properties[i] != CL_CONTEXT_PLATFORM) list.insert(list.end(), {properties[i], properties[i + 1]});
  }
  list.push_back(0);
  std::vector<cl_device_id> ids = handles_of(devices);
  auto context = AMALGAM_CL_CREATE(*platform, ids[0], clCreateContext, list.data(), static_cast<cl_uint>(ids.size()),
                                   ids.data(), nullptr, nullptr);
  if (!context) return fail(std::move(context.error()));
  return std::make_unique<ClContext>(platform, *context);
}

Result<std::unique_ptr<Stream>> ClContext::create_stream(Device& device, std::span<const uint64_t> properties) {
  return create_queue(platform_, handle(), static_cast<ClDevice&>(device).id(), properties);
}

Result<std::unique_ptr<Region>> ClContext::create_region(uint64_t flags, uint64_t size, std::byte* memory) {
  // With memory of ours the region *is* that memory. Without it, only the wish for host-reachable pages can be passed on.
  if (memory != nullptr)
    flags = (flags & ~kHostPointerFlags) | CL_MEM_USE_HOST_PTR;
  else
    flags &= ~uint64_t{CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR};
  auto region = AMALGAM_CL_CREATE(*platform_, handle(), clCreateBuffer, handle(), flags, size, memory);
  if (!region) return fail(std::move(region.error()));
  return std::make_unique<ClRegion>(platform_, *region, memory != nullptr);
}

Result<std::unique_ptr<Region>> ClContext::create_image(const ImageSpec& spec) {
  cl_image_format format{spec.channel_order, spec.channel_type};
  cl_image_desc desc{};
  desc.image_type = spec.image_type;
  desc.image_width = spec.width;
  desc.image_height = spec.height;
  desc.image_depth = spec.depth;
  desc.image_array_size = spec.array_size;
  desc.num_mip_levels = spec.mip_levels;
  desc.num_samples = spec.samples;
  desc.image_row_pitch = spec.row_pitch;
  desc.image_slice_pitch = spec.slice_pitch;
  uint64_t flags = spec.flags & ~kHostPointerFlags;
  if (spec.host_data != nullptr) flags |= CL_MEM_COPY_HOST_PTR;
  auto* data = const_cast<std::byte*>(spec.host_data);  // COPY_HOST_PTR only reads it
  auto make = [&](cl_mem under) {
    desc.mem_object = under;
    return AMALGAM_CL_CREATE(*platform_, handle(), clCreateImage, handle(), flags, &format, &desc, data);
  };
  auto* under = static_cast<ClRegion*>(spec.buffer);
  auto image = make(handle_of(under));
  TwinPtr twin;
  if (!image && under != nullptr && under->in_given_memory()) {
    auto made = under->twin_for_images(handle());
    if (!made) return fail(std::move(made.error()));
    twin = std::move(*made);
    image = make(twin->handle());
  }
  if (!image) return fail(std::move(image.error()));
  return std::make_unique<ClRegion>(platform_, *image, std::move(twin));
}

Result<std::unique_ptr<Sampler>> ClContext::create_sampler(std::span<const uint64_t> properties) {
  std::vector<cl_sampler_properties> list;
  cl_bool normalized = CL_TRUE;
  cl_addressing_mode addressing = CL_ADDRESS_CLAMP;
  cl_filter_mode filter = CL_FILTER_NEAREST;
  for (size_t i = 0; i + 1 < properties.size() && properties[i] != 0; i += 2) {
    list.insert(list.end(), {properties[i], properties[i + 1]});
    auto value = static_cast<cl_uint>(properties[i + 1]);
    if (properties[i] == CL_SAMPLER_NORMALIZED_COORDS) normalized = value;
    if (properties[i] == CL_SAMPLER_ADDRESSING_MODE) addressing = value;
    if (properties[i] == CL_SAMPLER_FILTER_MODE) filter = value;
  }
  list.push_back(0);
  const bool modern = platform_->entry(handle(), &cl_icd_dispatch::clCreateSamplerWithProperties) != nullptr;
  auto sampler = modern ? AMALGAM_CL_CREATE(*platform_, handle(), clCreateSamplerWithProperties, handle(), list.data())
                        : AMALGAM_CL_CREATE(*platform_, handle(), clCreateSampler, handle(), normalized, addressing, filter);
  if (!sampler) return fail(std::move(sampler.error()));
  return std::make_unique<ClSampler>(platform_, *sampler);
}

Result<EventPtr> ClContext::create_user_event() {
  auto event = AMALGAM_CL_CREATE(*platform_, handle(), clCreateUserEvent, handle());
  if (!event) return fail(std::move(event.error()));
  return std::make_shared<ClEvent>(platform_, *event, true);
}

Result<std::unique_ptr<Module>> ClContext::create_module(const ModuleSpec& spec, std::vector<int32_t>& statuses) {
  return create_program(platform_, handle(), spec, statuses);
}

Result<void> ClContext::link(std::span<Device* const> devices, const std::string& options, std::span<Module* const> inputs,
                             std::unique_ptr<Module>& out) {
  return link_program(platform_, handle(), devices, options, inputs, out);
}

Result<std::vector<uint32_t>> ClContext::image_formats(uint64_t flags, uint32_t image_type) {
  cl_uint count = 0;
  AMALGAM_TRY(AMALGAM_CL(*platform_, handle(), clGetSupportedImageFormats, handle(), flags, image_type, 0, nullptr, &count),
              "image formats");
  count = std::min(count, kMaxImageFormats);
  std::vector<uint32_t> pairs(size_t{2} * count);
  if (count == 0) return pairs;
  static_assert(sizeof(cl_image_format) == 2 * sizeof(uint32_t));
  AMALGAM_TRY(AMALGAM_CL(*platform_, handle(), clGetSupportedImageFormats, handle(), flags, image_type, count,
                         reinterpret_cast<cl_image_format*>(pairs.data()), nullptr),
              "image formats");
  return pairs;
}

Result<Bytes> ClContext::query(uint32_t param) {
  if (param == CL_CONTEXT_DEVICES || param == CL_CONTEXT_PROPERTIES || param == CL_CONTEXT_REFERENCE_COUNT) {
    return fail(Code::kUnsupported, "query context: the front door answers this", CL_INVALID_VALUE);
  }
  return AMALGAM_CL_QUERY(*platform_, handle(), clGetContextInfo, handle(), param);
}

}  // namespace amalgam::south::opencl
