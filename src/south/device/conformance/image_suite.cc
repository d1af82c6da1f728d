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
