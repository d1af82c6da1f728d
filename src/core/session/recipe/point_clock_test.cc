// SPDX-License-Identifier: Apache-2.0
#include "core/session/recipe/point_clock.h"

#include <gtest/gtest.h>

namespace amalgam::core {
namespace {

constexpr uint64_t kMs = 1'000'000;

TEST(PointClock, BalancesCostAndLossWithinItsBounds) {
  const PointClock clock(PointClock::kHourNs);
  EXPECT_NEAR(static_cast<double>(clock.interval_ns(kMs)), 2.683e9, 1e7) << "sqrt(2 C M)";
  EXPECT_EQ(clock.interval_ns(0), PointClock::kLeastNs);
  EXPECT_EQ(clock.interval_ns(100 * kMs), PointClock::kMostNs);
  EXPECT_EQ(clock.interval_ns(1000 * kMs), PointClock::kLeastPerCost * 1000 * kMs) << "points take a fiftieth at most";
  EXPECT_GE(clock.interval_ns(UINT64_MAX), UINT64_MAX / 2);
}

TEST(PointClock, ComesMoreOftenWhereAWorkerHasDied) {
  EXPECT_LT(PointClock(PointClock::kMinuteNs).interval_ns(kMs), PointClock(PointClock::kHourNs).interval_ns(kMs));
}

TEST(PointClock, IsDueAtOnceAndThenAgain) {
  PointClock clock(PointClock::kHourNs);
  EXPECT_TRUE(clock.is_due(1));
  clock.taken(100, 100 + kMs);
  EXPECT_FALSE(clock.is_due(100 + kMs));
  EXPECT_TRUE(clock.is_due(clock.due_ns()));
  clock.missed(clock.due_ns());
  EXPECT_GT(clock.due_ns(), 100 + kMs + clock.interval_ns(kMs));
}

}  // namespace
}  // namespace amalgam::core
