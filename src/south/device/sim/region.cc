// SPDX-License-Identifier: Apache-2.0
#include "south/device/sim/region.h"

namespace amalgam::south::sim {

Storage::Storage(std::shared_ptr<World> world, uint64_t size, std::byte* memory)
    : world_(std::move(world)), size_(size), own_(memory == nullptr ? std::make_unique<std::byte[]>(size) : nullptr),
      data_(memory == nullptr ? own_.get() : memory) {}

Storage::~Storage() { world_->give_memory(size_); }

Result<std::unique_ptr<Region>> SimRegion::create_sub(uint64_t flags, uint64_t offset, uint64_t size) {
  if (is_sub_) return refuse("create sub-region: of a sub-region", CL_INVALID_MEM_OBJECT);
  if (size == 0) return refuse("create sub-region: empty", CL_INVALID_BUFFER_SIZE);
  if (offset > size_ || size > size_ - offset) return refuse("create sub-region: beyond the region", CL_INVALID_VALUE);
  if (offset % kSubRegionAlignment != 0) return refuse("create sub-region: misaligned", CL_MISALIGNED_SUB_BUFFER_OFFSET);
  return std::make_unique<SimRegion>(storage_, flags != 0 ? flags : flags_, offset, size, true);
}

Result<Bytes> SimRegion::query(protocol::QueryTarget target, uint32_t param) {
  if (target != protocol::QueryTarget::kRegion) return refuse("query region: not an image", CL_INVALID_MEM_OBJECT);
  switch (param) {
    case CL_MEM_TYPE: return bytes_of(cl_mem_object_type{CL_MEM_OBJECT_BUFFER});
    case CL_MEM_FLAGS: return bytes_of(cl_mem_flags{flags_});
    case CL_MEM_SIZE: return bytes_of(size_t{size_});
    case CL_MEM_OFFSET: return bytes_of(size_t{offset_});
    default: return refuse("query region: no such parameter", CL_INVALID_VALUE);
  }
}

}  // namespace amalgam::south::sim
