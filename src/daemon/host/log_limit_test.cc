// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/log_limit.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

constexpr int kInfo = 2, kError = 4;

/// How many of `lines` lines in one moment are said.
uint64_t said(LogLimit& limit, int level, const std::string& begin, uint64_t lines, uint64_t now_ms) {
  uint64_t count = 0;
  for (uint64_t i = 0; i < lines; ++i) count += limit.pass(level, begin + std::to_string(i) + ": x ended", now_ms) ? 1 : 0;
  return count;
}

TEST(LogLimit, ManyLinesOfOneKindAreCounted) {
  LogLimit limit;
  EXPECT_EQ(said(limit, kInfo, "session ", 1000, 5000), kLogBurst);
  EXPECT_EQ(limit.next_ms(), 6000u);
  EXPECT_TRUE(limit.take_held(5999).empty());
  auto held = limit.take_held(6000);
  ASSERT_EQ(held.size(), 1u);
  EXPECT_EQ(held[0].kind, "session");
  EXPECT_EQ(held[0].level, kInfo);
  EXPECT_EQ(held[0].lines, 1000 - kLogBurst);
  EXPECT_EQ(limit.next_ms(), UINT64_MAX) << "told once";
  EXPECT_EQ(said(limit, kInfo, "session ", 1000, 6000), kLogLinesPerSecond);
}

TEST(LogLimit, OtherKindsAndLevelsAreNotHiddenByAFlood) {
  LogLimit limit;
  said(limit, kInfo, "session ", 1000, 5000);
  EXPECT_TRUE(limit.pass(kError, "session 3: broken", 5000));
  EXPECT_TRUE(limit.pass(kInfo, "slice 3: made", 5000));
}

TEST(LogLimit, KindsAreBounded) {
  LogLimit limit;
  for (uint64_t i = 0; i < kLogKinds + kLogBurst; ++i)
    limit.pass(kInfo, std::string("chosen ") + static_cast<char>('a' + i / 26) + static_cast<char>('a' + i % 26), 5000);
  // Whatever is new is one kind by now, and that one is used up.
  EXPECT_FALSE(limit.pass(kInfo, "never seen: x", 5000));
}

}  // namespace
}  // namespace amalgam::daemon
