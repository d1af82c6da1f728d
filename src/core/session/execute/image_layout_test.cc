// SPDX-License-Identifier: Apache-2.0
#include "core/session/execute/image_layout.h"

#include <gtest/gtest.h>

namespace amalgam::core {
namespace {

TEST(ImageLayout, KnowsPixels) {
  EXPECT_EQ(4u, pixel_bytes(0x10B5, 0x10D2));   // RGBA, UNORM_INT8
  EXPECT_EQ(16u, pixel_bytes(0x10B5, 0x10DE));  // RGBA, FLOAT
  EXPECT_EQ(2u, pixel_bytes(0x10B0, 0x10DD));   // R, HALF_FLOAT
  EXPECT_EQ(2u, pixel_bytes(0x10B4, 0x10D4));   // RGB, 565
  EXPECT_EQ(0u, pixel_bytes(1, 2));
}

TEST(ImageLayout, SumsBoxes) {
  EXPECT_EQ(24u, box_bytes({4, 3, 2}, 0, 0));
  EXPECT_EQ(4 + 2 * 10 + 100, static_cast<int>(*box_bytes({4, 3, 2}, 10, 100)));
  EXPECT_EQ(0u, box_bytes({0, 5, 5}, 0, 0));
}

TEST(ImageLayout, NeverWrapsAround) {
  constexpr uint64_t kHuge = uint64_t{1} << 63;
  EXPECT_FALSE(box_bytes({kHuge, 3, 1}, 0, 0));
  EXPECT_FALSE(box_bytes({1, kHuge, 2}, 0, 0));
  EXPECT_FALSE(box_bytes({1, 2, 3}, kHuge, kHuge));
  EXPECT_FALSE(box_bytes({kHuge, 1, 1}, UINT64_MAX, 2) && *box_bytes({kHuge, 1, 1}, UINT64_MAX, 2) < kHuge);
}

}  // namespace
}  // namespace amalgam::core
