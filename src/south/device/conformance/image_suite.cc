// SPDX-License-Identifier: Apache-2.0
// Images and samplers.
#include "south/device/conformance/suite.h"

namespace amalgam::south::conformance {
namespace {

constexpr uint64_t kWidth = 16, kHeight = 8, kPixels = kWidth * kHeight;

class ImageSuite : public Suite {
 protected:
  void SetUp() override {
    Suite::SetUp();
    if (IsSkipped()) return;
    AMALGAM_REQUIRE(Feature::kImages);
  }
  static ImageSpec spec(const void* data = nullptr) {
    ImageSpec spec;
    spec.flags = CL_MEM_READ_WRITE;
    spec.channel_order = CL_RGBA;
    spec.channel_type = CL_UNSIGNED_INT8;
    spec.image_type = CL_MEM_OBJECT_IMAGE2D;
    spec.width = kWidth;
    spec.height = kHeight;
    spec.host_data = static_cast<const std::byte*>(data);
    return spec;
  }
  std::unique_ptr<Region> make_image(const void* data = nullptr) {
    auto image = context_->create_image(spec(data));
    EXPECT_FINE(image);
    return image ? std::move(*image) : nullptr;
  }
  static Place pixels(Region& image, uint64_t x = 0, uint64_t y = 0) {
    Place place = in(image);
    place.is_image = true;
    place.origin = {x, y, 0};
    return place;
  }
  Words read_image(Region& image) {
    Words words(kPixels, 0);
    finish(*stream_, stream_->transfer(pixels(image), heap(words.data()), true, {kWidth, kHeight, 1}, {}));
    return words;
  }
};

TEST_F(ImageSuite, WhatIsWrittenIsRead) {
  auto image = make_image();
  Words words = counting(kPixels);
  finish(*stream_, stream_->transfer(heap(words.data()), pixels(*image), true, {kWidth, kHeight, 1}, {}));
  EXPECT_EQ(read_image(*image), words);
}

TEST_F(ImageSuite, FirstContentIsTaken) {
  Words words = counting(kPixels, 77);
  auto image = make_image(words.data());
  std::fill(words.begin(), words.end(), 0u);
  EXPECT_EQ(read_image(*image), counting(kPixels, 77));
}

TEST_F(ImageSuite, PartsAreCopiedBetweenImagesAndRegions) {
  Words words = counting(kPixels);
  auto image = make_image(words.data());
  Words zeros(kPixels, 0);
  auto other = make_image(zeros.data());
  finish(*stream_, stream_->transfer(pixels(*image, 4, 2), pixels(*other, 0, 0), true, {4, 2, 1}, {}));
  Words got = read_image(*other);
  EXPECT_EQ(got[0], 36u);
  EXPECT_EQ(got[kWidth + 3], 55u);
  EXPECT_EQ(got[4], 0u);
  auto region = make_region(4096);
  write(*stream_, *region, Words(1024, 0));
  finish(*stream_, stream_->transfer(pixels(*image, 4, 2), in(*region, 64), true, {4, 2, 1}, {}));
  EXPECT_EQ(read(*stream_, *region, 8, 64), (Words{36, 37, 38, 39, 52, 53, 54, 55}));
  finish(*stream_, stream_->transfer(in(*region, 64), pixels(*other, 0, 4), true, {8, 1, 1}, {}));
  EXPECT_EQ(read_image(*other)[4 * kWidth + 7], 55u);
}

TEST_F(ImageSuite, ColoursFill) {
  Words zeros(kPixels, 0);
  auto image = make_image(zeros.data());
  const uint32_t colour[] = {1, 2, 3, 4};
  finish(*stream_, stream_->fill(pixels(*image, 1, 1), {2, 2, 1}, std::as_bytes(std::span(colour)), {}));
  Words got = read_image(*image);
  EXPECT_EQ(got[0], 0u);
  EXPECT_EQ(got[kWidth + 1], 0x04030201u);
  EXPECT_EQ(got[2 * kWidth + 2], 0x04030201u);
  EXPECT_EQ(got[3 * kWidth], 0u);
}

/// Images over a region in memory of ours, which some drivers do not make. What a command on the image does is seen in the
/// memory when the command has ended, and the reverse.
class OverRegions : public ImageSuite {
 protected:
  static constexpr uint64_t kWords = 1024;
  static constexpr std::array<uint64_t, 3> kWhole{kWords, 1, 1};

  void SetUp() override {
    ImageSuite::SetUp();
    if (IsSkipped()) return;
    AMALGAM_REQUIRE(Feature::kMappedRegions);
    if (bench().devices[0].residency != model::Residency::kShared) GTEST_SKIP() << "the probe found staged memory";
    region_ = make_region(kWords * sizeof(uint32_t), reinterpret_cast<std::byte*>(memory_));
    ASSERT_NE(region_, nullptr);
    ImageSpec over = spec();
    over.image_type = CL_MEM_OBJECT_IMAGE1D_BUFFER;
    over.width = kWords;
    over.height = 0;
    over.buffer = region_.get();
    for (auto* image : {&first_, &second_}) {
      auto made = context_->create_image(over);
      ASSERT_FINE(made);
      *image = std::move(*made);
    }
  }
  Words memory() const { return {memory_, memory_ + kWords}; }

  alignas(4096) uint32_t memory_[kWords] = {};
  std::unique_ptr<Region> region_, first_, second_;
};

TEST_F(OverRegions, WritesAreOnTheRegion) {
  Words words = counting(kWords, 5);
  finish(*stream_, stream_->transfer(heap(words.data()), pixels(*first_), true, kWhole, {}));
  EXPECT_EQ(memory(), words);
}

TEST_F(OverRegions, ReadsAreOfTheRegion) {
  std::iota(memory_, memory_ + kWords, 500u);
  Words got(kWords, 0);
  finish(*stream_, stream_->transfer(pixels(*second_), heap(got.data()), true, kWhole, {}));
  EXPECT_EQ(got, counting(kWords, 500));
}

TEST_F(OverRegions, FillsAreOnTheRegion) {
  std::iota(memory_, memory_ + kWords, 500u);
  const uint32_t colour[] = {1, 2, 3, 4};
  finish(*stream_, stream_->fill(pixels(*first_), {4, 1, 1}, std::as_bytes(std::span(colour)), {}));
  EXPECT_EQ(memory_[3], 0x04030201u);
  EXPECT_EQ(memory_[4], 504u);
}

TEST_F(OverRegions, KernelsReadAndWriteTheRegion) {
  AMALGAM_REQUIRE(Feature::kUserEvents);
  auto kernel = make_kernel("swap_bytes");
  ASSERT_NE(kernel, nullptr);
  std::iota(memory_, memory_ + kWords, 0u);
  ASSERT_FINE(kernel->set_arg(region_arg(0, first_.get())));
  ASSERT_FINE(kernel->set_arg(region_arg(1, second_.get())));
  // Nothing happens before the event that the launch waits for.
  auto gate = context_->create_user_event();
  ASSERT_FINE(gate);
  Event* const waits[] = {gate->get()};
  auto event = stream_->launch(*kernel, range(kWords), waits);
  memory_[2] = 0x01020304;
  ASSERT_FINE((*gate)->signal(0));
  Outcome outcome = finish(*stream_, event);
  EXPECT_GE(outcome.times.ended, outcome.times.started);
  EXPECT_EQ(memory_[1], 0x01000000u);
  EXPECT_EQ(memory_[2], 0x04030201u);
  EXPECT_EQ(memory_[kWords - 1], 0xff030000u);
}

TEST_F(ImageSuite, ImagesSayWhatTheyAre) {
  auto image = make_image();
  auto width = image->query(protocol::QueryTarget::kImage, CL_IMAGE_WIDTH);
  ASSERT_FINE(width);
  EXPECT_EQ(value_of<size_t>(*width), kWidth);
}

TEST_F(ImageSuite, FormatsComeInPairs) {
  auto formats = context_->image_formats(CL_MEM_READ_WRITE, CL_MEM_OBJECT_IMAGE2D);
  ASSERT_FINE(formats);
  EXPECT_FALSE(formats->empty());
  EXPECT_EQ(formats->size() % 2, 0u);
}

TEST_F(ImageSuite, ImpossibleImagesAreRefused) {
  ImageSpec impossible = spec();
  impossible.width = 0;
  auto image = context_->create_image(impossible);
  ASSERT_FALSE(image);
  EXPECT_REFUSED(image, kAnyError);
  impossible = spec();
  impossible.channel_order = 0x7777;
  EXPECT_REFUSED(context_->create_image(impossible), kAnyError);
}

TEST_F(ImageSuite, KernelsSampleThem) {
  AMALGAM_REQUIRE(Feature::kSamplers);
  const uint64_t properties[] = {CL_SAMPLER_NORMALIZED_COORDS,
                                 CL_FALSE,
                                 CL_SAMPLER_ADDRESSING_MODE,
                                 CL_ADDRESS_CLAMP_TO_EDGE,
                                 CL_SAMPLER_FILTER_MODE,
                                 CL_FILTER_NEAREST,
                                 0};
  auto sampler = context_->create_sampler(properties);
  ASSERT_FINE(sampler);
  auto mode = (*sampler)->query(CL_SAMPLER_ADDRESSING_MODE);
  ASSERT_FINE(mode);
  EXPECT_EQ(value_of<cl_addressing_mode>(*mode), cl_addressing_mode{CL_ADDRESS_CLAMP_TO_EDGE});
  Words words = counting(kPixels);
  auto image = make_image(words.data());
  auto out = make_region(kPixels * 4);
  auto kernel = make_kernel("sample");
  ASSERT_NE(kernel, nullptr);
  Argument argument;
  argument.index = 1;
  argument.kind = protocol::ArgKind::kSampler;
  argument.size = sizeof(cl_sampler);
  argument.sampler = sampler->get();
  ASSERT_FINE(kernel->set_arg(region_arg(0, image.get())));
  ASSERT_FINE(kernel->set_arg(argument));
  ASSERT_FINE(kernel->set_arg(region_arg(2, out.get())));
  LaunchRange shape;
  shape.dimensions = 2;
  shape.global = {kWidth, kHeight, 1};
  finish(*stream_, stream_->launch(*kernel, shape, {}));
  EXPECT_EQ(read(*stream_, *out, kPixels), words);
}

}  // namespace
}  // namespace amalgam::south::conformance
