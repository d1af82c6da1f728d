// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace amalgam {
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
  EXPECT_EQ(parse_bytes("2g").value(), 2 * kGiB);
  EXPECT_EQ(parse_bytes("5GB").value(), 5'000'000'000u);
  EXPECT_EQ(parse_bytes("1.5 kb").value(), 1500u);
  EXPECT_EQ(parse_bytes("3MB").value(), 3'000'000u);
  EXPECT_EQ(parse_bytes("7TB").value(), 7'000'000'000'000u);
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

TEST(ParsePercent, ComesBackAsItWasWritten) {
  for (const char* text : {"0%", "1%", "1.5%", "12.5%", "33.3333%", "99.9999%", "100%"})
    EXPECT_EQ(format_percent(parse_percent(text).value()), text);
  EXPECT_EQ(parse_percent("30%").value(), 300'000u);
  for (const char* text : {"130%", "100.001%", "99999999999999999999999%"})
    EXPECT_EQ(parse_percent(text).error().message, "between 0% and 100%") << text;
  for (const char* text : {"", "%", "-3%", "+3%", "x%", "nan%", ".5%", "30", "0.3", "30 %", "30%%", "1e1%", "none"}) {
    auto parsed = parse_percent(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message.find("12.5%"), std::string::npos) << text;
  }
}

TEST(ParseTime, ComesBackAsItWasWritten) {
  for (const char* text : {"5ms", "1.5ms", "800us", "2s", "7ns"}) EXPECT_EQ(format_time(parse_time(text).value()), text);
  EXPECT_EQ(parse_time("70000ns").value(), 70'000u);
  EXPECT_EQ(parse_time("0s").value(), 0u);
  for (const char* text : {"", "5", "ms", "-5ms", "5min", "5 ms", "1e3ms", "99999999999999999s"})
    EXPECT_EQ(parse_time(text).error().message, "a time, such as 5ms, 800us or 1.5s") << text;
}

}  // namespace
}  // namespace amalgam
