// SPDX-License-Identifier: Apache-2.0
#include "north/cli/text.h"

#include <gtest/gtest.h>

namespace amalgam::cli {
namespace {

TEST(Printable, StopsEscapesAndBrokenText) {
  EXPECT_EQ(printable("plain"), "plain");
  EXPECT_EQ(printable("a\x1b[2Jb"), "a?[2Jb");
  EXPECT_EQ(printable("größe"), "größe");
  EXPECT_EQ(printable("x\xff\xc3"), "x??");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m");
}

TEST(Clip, CountsColumnsNotBytes) {
  EXPECT_EQ(clip("größer", 6), "größer");
  EXPECT_EQ(clip("größer", 4), "grö…");
  EXPECT_EQ(clip("abc", 1), "…");
  EXPECT_EQ(clip("abc", 0), "");
}

TEST(Bar, IsAlwaysAsWideAsAsked) {
  for (double fraction : {-1.0, 0.0, 0.33, 0.999, 1.0, 7.0, 0.0 / 0.0}) {
    EXPECT_EQ(display_width(bar(fraction, 10, true)), 10u) << fraction;
    EXPECT_EQ(display_width(bar(fraction, 10, false)), 10u) << fraction;
  }
  EXPECT_EQ(bar(0.5, 4, false), "##..");
  EXPECT_EQ(bar(1, 3, true), "███");
}

}  // namespace
}  // namespace amalgam::cli
