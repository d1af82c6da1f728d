// SPDX-License-Identifier: Apache-2.0
#include "core/session/cutting/pace.h"

#include <gtest/gtest.h>

namespace amalgam::core {
namespace {

TEST(PaceTest, WhatIsUnknownBeginsSmallAndDoubles) {
  Pace pace;
  EXPECT_FALSE(pace.is_known());
  EXPECT_FALSE(pace.fits(1, UINT64_MAX));
  EXPECT_EQ(4u, pace.next(1000, 0, 4));
  EXPECT_EQ(8u, pace.next(1000, 4, 4)) << "a second piece may go before the first has told anything";
}

TEST(PaceTest, APieceTakesTheTarget) {
  Pace pace;
  pace.learn(10, 1000);
  EXPECT_EQ(5u, pace.next(500, 0, 1));
  EXPECT_TRUE(pace.fits(20, 2000));
  EXPECT_FALSE(pace.fits(21, 2000));
  EXPECT_EQ(1u, pace.next(10, 0, 1)) << "a group is the least";
}

TEST(PaceTest, GrowsToTheTargetThoughAPieceHasACostOfItsOwn) {
  Pace pace;
  constexpr uint64_t kCost = 100'000, kGroup = 10, kTarget = 1'000'000;
  uint64_t groups = pace.next(kTarget, 0, 1);
  for (int i = 0; i < 60; ++i) {
    pace.learn(groups, kCost + groups * kGroup);
    uint64_t next = pace.next(kTarget, groups, 1);
    EXPECT_LE(next, 2 * groups);
    groups = next;
  }
  EXPECT_GT(kCost + groups * kGroup, kTarget * 9 / 10);
  EXPECT_LT(kCost + groups * kGroup, kTarget * 11 / 10);
}

TEST(PaceTest, FollowsWhatChanges) {
  Pace pace;
  pace.learn(1, 100);
  pace.learn(1, 0);
  pace.learn(0, 100);
  EXPECT_EQ(10u, pace.next(1000, 0, 1));
  for (int i = 0; i < 10; ++i) pace.learn(1, 1000);
  EXPECT_EQ(1u, pace.next(1000, 4, 1));
}

TEST(PaceTest, NothingOverflows) {
  Pace pace;
  pace.learn(UINT64_MAX, 1);
  EXPECT_GE(pace.next(UINT64_MAX, 0, 1), 1u);
  EXPECT_GE(pace.next(UINT64_MAX, UINT64_MAX, 1), 1u);
}

}  // namespace
}  // namespace amalgam::core
