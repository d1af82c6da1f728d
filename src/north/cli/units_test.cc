// SPDX-License-Identifier: Apache-2.0
#include "north/cli/units.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace amalgam::cli {
namespace {

TEST(FormatBytes, PicksTheUnitThatReadsBest) {
  EXPECT_EQ(format_bytes(0), "0");
  EXPECT_EQ(format_bytes(640), "640 B");
  EXPECT_EQ(format_bytes(kKiB), "1 KiB");
  EXPECT_EQ(format_bytes(kGiB * 3 / 2), "1.50 GiB");
  EXPECT_EQ(format_bytes(kGiB - 1), "1 GiB");
  EXPECT_EQ(format_bytes(100 * kMiB + 1), "100 MiB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "16 EiB");
}

TEST(FormatDuration, GoesFromMicrosecondsToDays) {
  EXPECT_EQ(format_duration(0), "0");
  EXPECT_EQ(format_duration(12'340), "12.3 µs");
  EXPECT_EQ(format_duration(4'560'000'000), "4.56 s");
  EXPECT_EQ(format_duration(184'000'000'000), "3m04s");
  EXPECT_EQ(format_duration(8'100'000'000'000), "2h15m");
  EXPECT_EQ(format_duration(180'000'000'000'000), "2d02h");
}

TEST(FormatCount, KeepsSmallNumbersWhole) {
  EXPECT_EQ(format_count(9999), "9999");
  EXPECT_EQ(format_count(12'345), "12.3k");
  EXPECT_EQ(format_count(4'500'000), "4.50M");
}

TEST(ParseBytes, TakesWhatPeopleWrite) {
  EXPECT_EQ(parse_bytes("512MiB").value(), 512 * kMiB);
  EXPECT_EQ(parse_bytes("2GiB").value(), 2 * kGiB);
  EXPECT_EQ(parse_bytes("2G").value(), 2 * kGiB);
  EXPECT_EQ(parse_bytes("2gb").value(), 2 * kGiB);
  EXPECT_EQ(parse_bytes("1.5 GiB").value(), kGiB * 3 / 2);
  EXPECT_EQ(parse_bytes("1048576").value(), kMiB);
  EXPECT_EQ(parse_bytes("9007199254740993").value(), 9007199254740993u);
}

TEST(ParseBytes, RefusesTheRestWithExamples) {
  for (const char* text :
       {"", "0", "-1", "+1", "G", "2X", "2GiBs", "1e9", "inf", "nan", "0x10", "99999999999999TiB", "1.5", " 2G"}) {
    auto parsed = parse_bytes(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Code::kInvalidArgument);
    EXPECT_NE(parsed.error().message.find("512MiB"), std::string::npos);
  }
}

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
