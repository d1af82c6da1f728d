// SPDX-License-Identifier: Apache-2.0
#include "south/device/null/null.h"

#include <gtest/gtest.h>

namespace amalgam::south {
namespace {

TEST(NullTest, RefusesWithAReason) {
  auto backend = make_null_backend();
  auto found = backend->discover(backend->libraries().at(0));
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  auto device = backend->open(found->at(0));
  ASSERT_TRUE(device);
  Device* const devices[] = {device->get()};
  auto context = backend->create_context(devices, {});
  ASSERT_TRUE(context);
  auto stream = (*context)->create_stream(**device, {});
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code, Code::kUnsupported);
  EXPECT_EQ(stream.error().message, "create stream: the null device computes nothing");
  auto region = (*context)->create_region(0, 4096, nullptr);
  ASSERT_FALSE(region);
  EXPECT_EQ(region.error().native, -59);
}

TEST(NullTest, KnowsOnlyItself) {
  auto backend = make_null_backend();
  EXPECT_EQ(backend->discover("libother.so").error().code, Code::kNotFound);
  model::Device other;
  other.library = "null";
  other.device_index = 1;
  EXPECT_EQ(backend->open(other).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace amalgam::south
