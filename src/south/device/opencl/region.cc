// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/region.h"

namespace amalgam::south::opencl {
namespace {

/// Values that are addresses of this process; the front door knows the objects that they stand for.
bool is_private(protocol::QueryTarget target, uint32_t param) {
  if (target == protocol::QueryTarget::kImage) return param == CL_IMAGE_BUFFER;
  return param == CL_MEM_HOST_PTR || param == CL_MEM_CONTEXT || param == CL_MEM_ASSOCIATED_MEMOBJECT ||
         param == CL_MEM_REFERENCE_COUNT || param == CL_MEM_MAP_COUNT;
}

}  // namespace

Result<std::unique_ptr<Region>> ClRegion::create_sub(uint64_t flags, uint64_t offset, uint64_t size) {
  cl_buffer_region range{offset, size};
  // Host-pointer flags come from the parent; naming them is an error.
  flags &= ~uint64_t{CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR | CL_MEM_ALLOC_HOST_PTR};
  auto sub =
      AMALGAM_CL_CREATE(*platform_, handle(), clCreateSubBuffer, handle(), flags, CL_BUFFER_CREATE_TYPE_REGION, &range);
  if (!sub) return fail(std::move(sub.error()));
  return std::make_unique<ClRegion>(platform_, *sub, in_given_memory_);
}

Result<TwinPtr> ClRegion::twin_for_images(cl_context context) {
  if (TwinPtr has = of_images_.lock()) return has;
  auto made = ImageTwin::make(*platform_, context, handle());
  if (!made) return fail(std::move(made.error()));
  of_images_ = *made;
  return TwinPtr(std::move(*made));
}

Result<Bytes> ClRegion::query(protocol::QueryTarget target, uint32_t param) {
  if (is_private(target, param))
    return fail(Code::kUnsupported, "query region: the front door answers this", CL_INVALID_VALUE);
  if (target == protocol::QueryTarget::kImage)
    return AMALGAM_CL_QUERY(*platform_, handle(), clGetImageInfo, handle(), param);
  return AMALGAM_CL_QUERY(*platform_, handle(), clGetMemObjectInfo, handle(), param);
}

Result<Bytes> ClSampler::query(uint32_t param) {
  if (param == CL_SAMPLER_CONTEXT || param == CL_SAMPLER_REFERENCE_COUNT) {
    return fail(Code::kUnsupported, "query sampler: the front door answers this", CL_INVALID_VALUE);
  }
  return AMALGAM_CL_QUERY(*platform_, handle(), clGetSamplerInfo, handle(), param);
}

}  // namespace amalgam::south::opencl
