// SPDX-License-Identifier: Apache-2.0
// Creation of memory: quota first, then a heap range, then the driver's object. What fails gives back what it took.
//
// The devices of a context decide where a region lives: if all of them work in the heap (kShared), its heap range is the
// region; else the driver allocates and the range is the shadow that maps pass through. Untouched shadow costs nothing.
#include <algorithm>
#include <cstring>

#include "core/session/execute/dispatch.h"
#include "core/session/execute/image_layout.h"
#include "core/session/execute/rebuilding.h"

namespace amalgam::core {
namespace {

constexpr uint64_t kHostPointerFlags = (1u << 3) | (1u << 4) | (1u << 5);  // CL_MEM_USE_, ALLOC_ and COPY_HOST_PTR
constexpr uint64_t kKernelsRead = 1u << 2;                                 // CL_MEM_READ_ONLY
constexpr uint64_t kLargestPixel = 16;
constexpr uint64_t kNatural = 128;  // alignment of the largest built-in type

uint8_t residency_byte(bool shared) {
  return static_cast<uint8_t>(shared ? model::Residency::kShared : model::Residency::kStaged);
}

}  // namespace

Result<QuotaShare> Executor::take_quota(uint64_t bytes) {
  if (auto taken = config_.budget->take(bytes); !taken) {
    Error error = std::move(taken.error());
    error.code = Code::kOutOfMemory;
    error.native = native::kMemObjectAllocationFailure;
    return fail(std::move(error));
  }
  return QuotaShare(*config_.budget, bytes);
}

Result<HeapRange> Executor::take_range(uint64_t bytes) {
  if (rebuilding_ != nullptr) {
    const uint64_t offset = rebuilding_->making.heap_offset;
    if (!heap_.allocate_at(offset, bytes)) return fail(Code::kProtocol, "a region's place in the heap is taken");
    return HeapRange(heap_, offset);
  }
  auto at = heap_.allocate(bytes);
  if (!at) return fail(Code::kOutOfMemory, "the session's heap is full", native::kMemObjectAllocationFailure);
  return HeapRange(heap_, *at);
}

Result<protocol::RegionReply> Executor::execute(const protocol::CreateRegion& m) {
  deleter_.clear();  // what was released just now is free again
  if (auto free = table_.check_free(m.id); !free) return std::unexpected(std::move(free.error()));
  auto context = need<ContextObject>(m.context);
  if (!context) return std::unexpected(std::move(context.error()));
  auto region = make_object<RegionObject>(deleter_);
  region->context = Ref(*context);
  region->size = m.size;
  region->is_read_only = (m.flags & kKernelsRead) != 0;
  auto made = m.use == protocol::RegionUse::kSvm ? create_svm(m, *region)
              : m.over != 0                      ? create_over(m, *region)
                                                 : create_buffer(m, *region);
  if (!made) return std::unexpected(std::move(made.error()));
  protocol::RegionReply answer{region->heap_offset, residency_byte((*context)->shared), m.size};
  if (auto inserted = table_.insert(m.id, std::move(region)); !inserted) return std::unexpected(std::move(inserted.error()));
  return answer;
}

Result<void> Executor::create_buffer(const protocol::CreateRegion& m, RegionObject& region) {
  ContextObject& context = *region.context;
  uint64_t flags = m.flags & ~kHostPointerFlags;
  if (m.size == 0) {
    // Never valid: the driver says whether it is the size or a flag that it minds more.
    auto refused = context.context->create_region(flags, 0, nullptr);
    if (!refused) return std::unexpected(std::move(refused.error()));
    return fail(Code::kInvalidArgument, "a region has at least one byte", native::kInvalidBufferSize);
  }
  bool too_large = (context.max_alloc != 0 && m.size > context.max_alloc) || m.size > config_.heap_bytes ||
                   (config_.quota_bytes != 0 && m.size > config_.quota_bytes);
  if (too_large)
    return fail(Code::kInvalidArgument, "larger than any device of the slice takes", native::kInvalidBufferSize);
  auto quota = take_quota(m.size);
  if (!quota) return std::unexpected(std::move(quota.error()));
  region.quota = std::move(*quota);
  auto range = take_range(m.size);
  if (!range) return std::unexpected(std::move(range.error()));
  region.range = std::move(*range);
  region.heap_offset = region.range.offset();
  std::byte* memory = context.shared ? heap_base_ + region.heap_offset : nullptr;
  auto made = context.context->create_region(flags, m.size, memory);
  if (!made) return std::unexpected(std::move(made.error()));
  region.region = std::move(*made);
  return {};
}

Result<void> Executor::create_svm(const protocol::CreateRegion& m, RegionObject& region) {
  if (!region.context->svm) return fail(Code::kUnsupported, "no shared virtual memory here", native::kInvalidOperation);
  bool bad_alignment = (m.alignment & (m.alignment - 1)) != 0 || m.alignment > Heap::kPage;
  bool bad_size =
      m.size == 0 || m.size > config_.heap_bytes || (region.context->max_alloc != 0 && m.size > region.context->max_alloc);
  if (bad_alignment || bad_size) return fail(Code::kInvalidArgument, "size or alignment", native::kInvalidValue);
  auto quota = take_quota(m.size);
  if (!quota) return std::unexpected(std::move(quota.error()));
  region.quota = std::move(*quota);
  static_assert(kNatural <= Heap::kSmallGranule);
  auto range = take_range(m.alignment > Heap::kSmallGranule ? std::max(m.size, Heap::kPage) : m.size);
  if (!range) return std::unexpected(std::move(range.error()));
  region.range = std::move(*range);
  region.heap_offset = region.range.offset();
  return {};
}

Result<void> Executor::create_over(const protocol::CreateRegion& m, RegionObject& region) {
  auto under = need<RegionObject>(m.over);
  if (!under) return std::unexpected(std::move(under.error()));
  ContextObject& context = *region.context;
  if ((*under)->region || !context.shared || (*under)->context.get() != &context)
    return fail(Code::kInvalidArgument, "not shared virtual memory of the context", native::kInvalidHostPtr);
  if (m.size == 0 || m.size > (*under)->size || m.over_offset > (*under)->size - m.size)
    return fail(Code::kInvalidArgument, "outside of the shared virtual memory", native::kInvalidBufferSize);
  region.under = Ref(*under);
  region.heap_offset = (*under)->heap_offset + m.over_offset;
  auto made = context.context->create_region(m.flags & ~kHostPointerFlags, m.size, heap_base_ + region.heap_offset);
  if (!made) return std::unexpected(std::move(made.error()));
  region.region = std::move(*made);
  return {};
}

Result<protocol::RegionReply> Executor::execute(const protocol::CreateSubRegion& m) {
  if (auto free = table_.check_free(m.id); !free) return std::unexpected(std::move(free.error()));
  auto parent = need<RegionObject>(m.parent);
  if (!parent) return std::unexpected(std::move(parent.error()));
  if (!(*parent)->region || (*parent)->is_image || (*parent)->parent.get() != nullptr)
    return fail(Code::kInvalidArgument, "not a region that can be divided", native::kInvalidMemObject);
  if (m.size > (*parent)->size || m.offset > (*parent)->size - m.size)
    return fail(Code::kInvalidArgument, "outside of the region", native::kInvalidValue);
  auto made = (*parent)->region->create_sub(m.flags & ~kHostPointerFlags, m.offset, m.size);
  if (!made) return std::unexpected(std::move(made.error()));
  auto region = make_object<RegionObject>(deleter_);
  region->context = (*parent)->context;
  region->parent = Ref(*parent);
  region->size = m.size;
  region->is_read_only = (*parent)->is_read_only || (m.flags & kKernelsRead) != 0;
  region->region = std::move(*made);
  region->heap_offset = (*parent)->heap_offset + m.offset;
  if (auto inserted = table_.insert(m.id, std::move(region)); !inserted) return std::unexpected(std::move(inserted.error()));
  return protocol::RegionReply{(*parent)->heap_offset + m.offset, residency_byte((*parent)->context->shared), m.size};
}

namespace {

/// What the driver says; the numbers are CL_IMAGE_… and CL_MEM_SIZE.
protocol::ImageFacts image_facts(south::Region& image) {
  using Target = protocol::QueryTarget;
  auto ask = [&image](Target target, uint32_t param) -> uint64_t {
    auto bytes = image.query(target, param);
    uint64_t value = 0;
    if (bytes && bytes->size() == sizeof value) std::memcpy(&value, bytes->data(), sizeof value);
    return value;
  };
  protocol::ImageFacts facts;
  facts.element_size = ask(Target::kImage, 0x1111);
  facts.row_pitch = ask(Target::kImage, 0x1112);
  facts.slice_pitch = ask(Target::kImage, 0x1113);
  facts.height = ask(Target::kImage, 0x1115);
  facts.depth = ask(Target::kImage, 0x1116);
  facts.array_size = ask(Target::kImage, 0x1117);
  facts.bytes = ask(Target::kRegion, 0x1102);
  return facts;
}

/// How large an image's pixels are, packed and with the pitches that came with them.
struct ImageBytes {
  std::optional<uint64_t> packed, given;
};

ImageBytes image_bytes(const protocol::CreateImage& m, uint64_t element_size) {
  uint64_t pixel = element_size == 0 ? kLargestPixel : element_size, row = 0;
  ImageExtent extent = image_extent(m.image_type, m.width, m.height, m.depth, m.array_size);
  if (__builtin_mul_overflow(extent.width, pixel, &row)) return {};
  uint64_t row_pitch = m.row_pitch, slice_pitch = m.slice_pitch;
  if (m.image_type == kImage1dArray && slice_pitch != 0) row_pitch = std::max(row_pitch, slice_pitch);
  return {box_bytes({row, extent.rows, extent.slices}, 0, 0),
          box_bytes({row, extent.rows, extent.slices}, row_pitch, slice_pitch)};
}

}  // namespace

Result<protocol::ImageReply> Executor::execute(const protocol::CreateImage& m) {
  deleter_.clear();
  if (auto free = table_.check_free(m.id); !free) return std::unexpected(std::move(free.error()));
  auto context = need<ContextObject>(m.context);
  if (!context) return std::unexpected(std::move(context.error()));
  auto image = make_object<RegionObject>(deleter_);
  image->context = Ref(*context);
  image->is_image = true;
  image->is_written = m.host_data.size != 0;
  image->is_read_only = (m.flags & kKernelsRead) != 0;
  image->image_type = m.image_type;
  image->element_size = pixel_bytes(m.channel_order, m.channel_type);
  if (m.mip_levels <= 1 && m.samples <= 1) {
    const ImageExtent extent = image_extent(m.image_type, m.width, m.height, m.depth, m.array_size);
    image->extent = {extent.width, extent.rows, extent.slices};
  }
  south::ImageSpec spec{m.flags & ~kHostPointerFlags,
                        m.channel_order,
                        m.channel_type,
                        m.image_type,
                        m.width,
                        m.height,
                        m.depth,
                        m.array_size,
                        m.row_pitch,
                        m.slice_pitch,
                        m.mip_levels,
                        m.samples,
                        nullptr,
                        nullptr};
  if (m.buffer != 0) {
    auto base = need<RegionObject>(m.buffer);
    if (!base) return std::unexpected(std::move(base.error()));
    if (!(*base)->region) return fail(Code::kInvalidArgument, "no region of the driver", native::kInvalidMemObject);
    image->parent = Ref(*base);
    spec.buffer = (*base)->region.get();
  }
  if (auto made = allocate_image(m, *image, spec); !made) return std::unexpected(std::move(made.error()));
  protocol::ImageReply answer{{image->heap_offset, residency_byte(false), image->size}, image_facts(*image->region)};
  auto settled = settle_image_quota(*image, m.buffer == 0 ? answer.facts.bytes : image->region->hidden_bytes());
  if (!settled) return std::unexpected(std::move(settled.error()));
  if (auto inserted = table_.insert(m.id, std::move(image)); !inserted) return std::unexpected(std::move(inserted.error()));
  return answer;
}

Result<void> Executor::allocate_image(const protocol::CreateImage& m, RegionObject& image, south::ImageSpec& spec) {
  south::Context& context = *image.context->context;
  auto [packed, given] = image_bytes(m, image.element_size);
  if (!packed || !given || *packed == 0) {
    // Never valid, and nothing that could be allocated: the driver says what it minds.
    auto refused = context.create_image(spec);
    if (!refused) return std::unexpected(std::move(refused.error()));
  }
  if (!packed || !given || *packed == 0 || *packed > config_.heap_bytes)
    return fail(Code::kInvalidArgument, "no device has such an image", native::kInvalidImageSize);
  if (m.host_data.size != 0) {
    auto data = input(m.host_data);
    if (!data) return std::unexpected(std::move(data.error()));
    if (data->size() < *given) return fail(Code::kInvalidArgument, "too few pixels were sent", native::kInvalidHostPtr);
    spec.host_data = data->data();
  }
  if (m.buffer == 0) {
    auto quota = take_quota(*packed);
    if (!quota) return std::unexpected(std::move(quota.error()));
    image.quota = std::move(*quota);
  }
  auto range = take_range(*packed);
  if (!range) return std::unexpected(std::move(range.error()));
  image.range = std::move(*range);
  image.heap_offset = image.range.offset();
  image.size = *packed;
  auto made = context.create_image(spec);
  if (!made) return std::unexpected(std::move(made.error()));
  image.region = std::move(*made);
  return {};
}

Result<void> Executor::settle_image_quota(RegionObject& image, uint64_t real) {
  if (real == 0) return {};  // the computed size stands
  uint64_t have = image.quota.bytes();
  if (real > have) {
    auto more = take_quota(real - have);
    if (!more) return std::unexpected(std::move(more.error()));
    image.quota.absorb(std::move(*more));
  }
  image.quota.shrink(real);
  return {};
}

}  // namespace amalgam::core
