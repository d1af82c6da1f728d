// SPDX-License-Identifier: Apache-2.0
#include "core/sched/gap.h"

#include <gtest/gtest.h>

namespace amalgam::core {
namespace {

constexpr uint64_t kUs = 1'000, kMs = 1'000'000;

uint64_t after(uint64_t gap_ns, int times) {
  GapEstimator gaps;
  for (int i = 0; i < times; ++i) gaps.learn(gap_ns);
  return gaps.tolerance_ns();
}

TEST(Gap, AnUnknownSliceIsGivenShortGaps) {
  EXPECT_GE(GapEstimator().tolerance_ns(), 200 * kUs);
  EXPECT_LE(GapEstimator().tolerance_ns(), kMs);
}

TEST(Gap, SteadyGapsAreToleratedAndLittleMore) {
  for (uint64_t gap : {60 * kUs, 200 * kUs, 900 * kUs}) {
    EXPECT_GE(after(gap, 200), gap - kUs) << gap;
    EXPECT_LE(after(gap, 200), gap + gap / 10) << gap;
  }
  EXPECT_EQ(after(5 * kUs, 200), GapEstimator::kLeastNs);
}

TEST(Gap, UnevenGapsAreToleratedToo) {
  GapEstimator gaps;
  for (int i = 0; i < 400; ++i) gaps.learn(i % 2 == 0 ? 20 * kUs : 200 * kUs);
  EXPECT_GE(gaps.tolerance_ns(), 200 * kUs);
}

TEST(Gap, WhoPausesForLongIsNotWaitedFor) {
  EXPECT_EQ(after(5 * kMs, 100), GapEstimator::kLeastNs);
  EXPECT_LE(after(1'500 * kUs, 3), GapEstimator::kMostNs);
}

TEST(Gap, IsSporadicOnceItsPausesAreMostlyLongAndNoLongerOnceTheyAreShort) {
  GapEstimator gaps;
  EXPECT_FALSE(gaps.is_sporadic()) << "of whom nothing is known";
  gaps.learn(50 * kMs);
  EXPECT_FALSE(gaps.is_sporadic()) << "once may be chance";
  for (int i = 0; i < 10; ++i) gaps.learn(50 * kMs);
  EXPECT_TRUE(gaps.is_sporadic());
  for (int i = 0; i < 10; ++i) gaps.learn(100 * kUs);
  EXPECT_FALSE(gaps.is_sporadic());
}

TEST(Gap, OnePauseIsForgottenSoon) {
  GapEstimator gaps;
  for (int i = 0; i < 100; ++i) gaps.learn(30 * kUs);
  gaps.learn(UINT64_MAX);
  EXPECT_EQ(gaps.tolerance_ns(), GapEstimator::kMostNs) << "it is taken for unevenness at first";
  for (int i = 0; i < 40; ++i) gaps.learn(30 * kUs);
  EXPECT_LE(gaps.tolerance_ns(), 100 * kUs);
}

}  // namespace
}  // namespace amalgam::core
