// SPDX-License-Identifier: Apache-2.0
// Regions: own memory, given memory, parts of regions; and what moves bytes between them.
#include <sys/mman.h>

#include "south/device/conformance/suite.h"

namespace amalgam::south::conformance {
namespace {

constexpr size_t kPage = 4096;

/// Pages as client and worker share them.
class Pages {
 public:
  explicit Pages(size_t size) : size_(size) {
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED) data_ = static_cast<std::byte*>(at);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() {
    if (data_ != nullptr) munmap(data_, size_);
  }
  std::byte* data() const { return data_; }
  uint32_t* words() const { return reinterpret_cast<uint32_t*>(data_); }

 private:
  size_t size_;
  std::byte* data_ = nullptr;
};

class MemorySuite : public Suite {};

TEST_F(MemorySuite, WhatIsWrittenIsRead) {
  for (size_t count : {size_t{1}, size_t{3}, size_t{1024}, size_t{1} << 18}) {
    auto region = make_region(count * 4);
    ASSERT_NE(region, nullptr);
    write(*stream_, *region, counting(count, 5));
    EXPECT_EQ(read(*stream_, *region, count), counting(count, 5));
  }
}

TEST_F(MemorySuite, OffsetsAreBytes) {
  auto region = make_region(4096);
  write(*stream_, *region, Words(1024, 0));
  write(*stream_, *region, counting(8, 100), 40);
  Words expected(1024, 0);
  for (uint32_t i = 0; i < 8; ++i) expected[10 + i] = 100 + i;
  EXPECT_EQ(read(*stream_, *region, 1024), expected);
  EXPECT_EQ(read(*stream_, *region, 8, 40), counting(8, 100));
}

TEST_F(MemorySuite, RegionsAreCopied) {
  auto from = make_region(4096), to = make_region(4096);
  write(*stream_, *from, counting(1024));
  write(*stream_, *to, Words(1024, 7));
  finish(*stream_, stream_->transfer(in(*from, 400), in(*to, 800), false, {64, 0, 0}, {}));
  Words expected(1024, 7);
  for (uint32_t i = 0; i < 16; ++i) expected[200 + i] = 100 + i;
  EXPECT_EQ(read(*stream_, *to, 1024), expected);
}

TEST_F(MemorySuite, TransfersBeyondARegionAreRefused) {
  auto region = make_region(4096);
  std::vector<std::byte> bytes(8192);
  auto beyond = stream_->transfer(heap(bytes.data()), in(*region), false, {8192, 0, 0}, {});
  ASSERT_FALSE(beyond);
  EXPECT_REFUSED(beyond, CL_INVALID_VALUE);
  EXPECT_EQ(beyond.error().code, Code::kInvalidArgument);
}

TEST_F(MemorySuite, ImpossibleRegionsAreRefused) {
  auto empty = context_->create_region(CL_MEM_READ_WRITE, 0, nullptr);
  ASSERT_FALSE(empty);
  EXPECT_REFUSED(empty, CL_INVALID_BUFFER_SIZE);
  EXPECT_FALSE(empty.error().message.empty());
  auto huge = context_->create_region(CL_MEM_READ_WRITE, uint64_t{1} << 60, nullptr);
  ASSERT_FALSE(huge);
  EXPECT_REFUSED(huge, kAnyError);
}

TEST_F(MemorySuite, PatternsFill) {
  AMALGAM_REQUIRE(Feature::kFills);
  auto region = make_region(4096);
  write(*stream_, *region, Words(1024, 1));
  const uint32_t pair[] = {11, 22};
  finish(*stream_, stream_->fill(in(*region, 64), {128, 0, 0}, std::as_bytes(std::span(pair)), {}));
  Words expected(1024, 1);
  for (size_t i = 0; i < 32; ++i) expected[16 + i] = pair[i % 2];
  EXPECT_EQ(read(*stream_, *region, 1024), expected);
  const std::byte one{0x5A};
  finish(*stream_, stream_->fill(in(*region), {4096, 0, 0}, std::span(&one, 1), {}));
  EXPECT_EQ(read(*stream_, *region, 1024), Words(1024, 0x5A5A5A5A));
}

TEST_F(MemorySuite, RectanglesKeepTheirPitches) {
  AMALGAM_REQUIRE(Feature::kRectangles);
  // A region of 4 slices of 8 rows of 16 words; a box of 3 x 2 x 2 words out of the middle.
  auto region = make_region(4 * 8 * 16 * 4);
  Words all = counting(4 * 8 * 16);
  write(*stream_, *region, all);
  Words box(3 * 2 * 2, 0);
  Place from = in(*region), to = heap(box.data());
  from.origin = {8, 3, 1};
  from.row_pitch = 64;
  from.slice_pitch = 512;
  to.row_pitch = 12;
  to.slice_pitch = 24;
  finish(*stream_, stream_->transfer(from, to, true, {12, 2, 2}, {}));
  Words expected;
  for (uint32_t z = 1; z < 3; ++z) {
    for (uint32_t y = 3; y < 5; ++y) {
      for (uint32_t x = 2; x < 5; ++x) expected.push_back(z * 128 + y * 16 + x);
    }
  }
  EXPECT_EQ(box, expected);

  auto other = make_region(4 * 8 * 16 * 4);
  write(*stream_, *other, Words(all.size(), 0));
  Place target = in(*other);
  target.origin = {0, 0, 0};
  target.row_pitch = 64;
  target.slice_pitch = 512;
  finish(*stream_, stream_->transfer(to, target, true, {12, 2, 2}, {}));
  EXPECT_EQ(read(*stream_, *other, 3), Words(expected.begin(), expected.begin() + 3));
  EXPECT_EQ(read(*stream_, *other, 3, 512 + 64), Words(expected.end() - 3, expected.end()));
  finish(*stream_, stream_->transfer(from, target, true, {12, 2, 2}, {}));
  EXPECT_EQ(read(*stream_, *other, 3, 64), Words(expected.begin() + 3, expected.begin() + 6));
}

TEST_F(MemorySuite, SubRegionsAreWindows) {
  AMALGAM_REQUIRE(Feature::kSubRegions);
  auto region = make_region(16384);
  auto sub = region->create_sub(CL_MEM_READ_WRITE, 4096, 1024);
  ASSERT_FINE(sub);
  write(*stream_, *region, Words(4096, 9));
  write(*stream_, **sub, counting(256));
  EXPECT_EQ(read(*stream_, *region, 256, 4096), counting(256));
  EXPECT_EQ(read(*stream_, *region, 1, 4092), Words{9});
  EXPECT_EQ(read(*stream_, *region, 1, 5120), Words{9});
}

TEST_F(MemorySuite, ImpossibleSubRegionsAreRefused) {
  AMALGAM_REQUIRE(Feature::kSubRegions);
  auto region = make_region(16384);
  EXPECT_REFUSED(region->create_sub(CL_MEM_READ_WRITE, 1, 1024), CL_MISALIGNED_SUB_BUFFER_OFFSET);
  EXPECT_REFUSED(region->create_sub(CL_MEM_READ_WRITE, 8192, 16384), kAnyError);
}

TEST_F(MemorySuite, RegionsSayWhatTheyAre) {
  AMALGAM_REQUIRE(Feature::kQueries);
  auto region = make_region(12345);
  auto size = region->query(protocol::QueryTarget::kRegion, CL_MEM_SIZE);
  ASSERT_FINE(size);
  EXPECT_EQ(value_of<size_t>(*size), 12345u);
  EXPECT_FALSE(region->query(protocol::QueryTarget::kRegion, CL_MEM_HOST_PTR))
      << "addresses of the worker are nobody's business";
}

TEST_F(MemorySuite, SharedRegionsAreTheMemory) {
  AMALGAM_REQUIRE(Feature::kMappedRegions);
  if (bench().devices[0].residency != model::Residency::kShared) GTEST_SKIP() << "the probe found staged memory";
  Pages pages(4 * kPage);
  auto region = make_region(4 * kPage, pages.data());
  auto kernel = make_kernel("scale");
  ASSERT_NE(kernel, nullptr);
  std::iota(pages.words(), pages.words() + 4096, 0u);
  const uint32_t factor = 3;
  ASSERT_FINE(kernel->set_arg(region_arg(0, region.get())));
  ASSERT_FINE(kernel->set_arg(value_arg(1, factor)));
  for (uint32_t round = 1; round <= 3; ++round) {
    finish(*stream_, stream_->launch(*kernel, range(4096), {}));
    EXPECT_EQ(pages.words()[5], 15u) << "round " << round;
    EXPECT_EQ(pages.words()[4095], 4095u * 3);
    std::iota(pages.words(), pages.words() + 4096, 0u);
  }
  EXPECT_EQ(read(*stream_, *region, 8), counting(8));
  write(*stream_, *region, counting(8, 50));
  EXPECT_EQ(pages.words()[7], 57u);
}

TEST_F(MemorySuite, GivenMemoryNeedsOnlyModestAlignment) {
  AMALGAM_REQUIRE(Feature::kMappedRegions);
  if (bench().devices[0].residency != model::Residency::kShared) GTEST_SKIP() << "the probe found staged memory";
  Pages pages(kPage);
  auto region = make_region(256, pages.data() + 256);
  ASSERT_NE(region, nullptr);
  write(*stream_, *region, counting(64));
  EXPECT_EQ(pages.words()[64 + 63], 63u);
  EXPECT_EQ(pages.words()[63], 0u);
  EXPECT_EQ(pages.words()[128], 0u);
}

TEST_F(MemorySuite, TheProgramsHostFlagsDoNotMatter) {
  AMALGAM_REQUIRE(Feature::kMappedRegions);
  Pages pages(kPage);
  for (uint64_t flag : {CL_MEM_COPY_HOST_PTR, CL_MEM_USE_HOST_PTR, CL_MEM_ALLOC_HOST_PTR}) {
    const bool shared = bench().devices[0].residency == model::Residency::kShared;
    auto region = context_->create_region(CL_MEM_READ_WRITE | flag, kPage, shared ? pages.data() : nullptr);
    ASSERT_FINE(region);
    write(*stream_, **region, counting(1024));
    EXPECT_EQ(read(*stream_, **region, 1024), counting(1024));
  }
}

TEST_F(MemorySuite, HeapIsCopiedAndFilledInOrder) {
  AMALGAM_REQUIRE(Feature::kHeapCopies);
  Pages pages(2 * kPage);
  auto region = make_region(kPage);
  write(*stream_, *region, counting(1024, 1));
  const uint32_t seven = 7;
  // read into the first page, copy it to the second, overwrite the first: all in the stream's order.
  ASSERT_FINE(stream_->transfer(in(*region), heap(pages.data()), false, {kPage, 0, 0}, {}));
  ASSERT_FINE(stream_->transfer(heap(pages.data()), heap(pages.data() + kPage), false, {kPage, 0, 0}, {}));
  ASSERT_FINE(stream_->fill(heap(pages.data()), {kPage, 0, 0}, std::as_bytes(std::span(&seven, 1)), {}));
  finish(*stream_, stream_->marker(protocol::MarkerKind::kMarker, {}));
  EXPECT_EQ(Words(pages.words(), pages.words() + 1024), Words(1024, 7));
  EXPECT_EQ(Words(pages.words() + 1024, pages.words() + 2048), counting(1024, 1));
}

TEST_F(MemorySuite, RegionsMigrate) {
  AMALGAM_REQUIRE(Feature::kMigration);
  auto region = make_region(kPage);
  write(*stream_, *region, counting(1024));
  Region* const regions[] = {region.get()};
  finish(*stream_, stream_->migrate(regions, 0, {}));
  EXPECT_EQ(read(*stream_, *region, 1024), counting(1024));
}

}  // namespace
}  // namespace amalgam::south::conformance
