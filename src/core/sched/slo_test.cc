// SPDX-License-Identifier: Apache-2.0
#include "core/sched/slo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace amalgam::core {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint32_t kPercent = 10'000;

TEST(LatencySketch, QuantilesAreNeverTooLowAndAtMostASixteenthTooHigh) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 50; ++round) {
    LatencySketch sketch;
    std::vector<uint64_t> all;
    uint64_t scale = uint64_t{1} << (random() % 40);
    for (int i = 0; i < 1000; ++i) {
      all.push_back(1 + random() % (scale * 2));
      sketch.add(all.back());
    }
    std::ranges::sort(all);
    for (uint32_t quantile : {1'000u, 500'000u, 900'000u, 990'000u, 1'000'000u}) {
      uint64_t exact = all[(all.size() * quantile + kWholePpm - 1) / kWholePpm - 1];
      EXPECT_GE(sketch.quantile_ns(quantile), exact);
      EXPECT_LE(sketch.quantile_ns(quantile), exact + exact / 16 + 1);
    }
  }
}

TEST(LatencySketch, ExtremesHaveAPlace) {
  LatencySketch sketch;
  EXPECT_EQ(sketch.quantile_ns(990'000), 0u);
  sketch.add(0);
  EXPECT_EQ(sketch.quantile_ns(990'000), 0u);
  sketch.add(UINT64_MAX);
  EXPECT_EQ(sketch.count(), 2u);
  EXPECT_EQ(sketch.most_ns(), UINT64_MAX);
  sketch.clear();
  EXPECT_EQ(sketch.count(), 0u);
}

/// A slice whose slowest launches take work / share.
struct Model {
  double work_ns;
  double floor_ns = 0;
  std::mt19937_64 random{7};

  SloVerdict window(SloController& controller, uint32_t share_ppm, uint32_t most_ppm, int launches = 600) {
    for (int i = 0; i < launches; ++i) {
      double slow = 0.5 + 0.5 * static_cast<double>(random() % 1000) / 1000;
      controller.observe(static_cast<uint64_t>(floor_ns + slow * work_ns * kWholePpm / share_ppm));
    }
    return controller.update(share_ppm, most_ppm);
  }
};

TEST(Slo, FindsTheShareAndStaysThere) {
  SloController controller({990'000, 5 * kMs});
  Model model{.work_ns = 1e6};  // 5 ms need 20 %
  uint32_t share = 5 * kPercent;
  int changes = 0;
  for (int i = 0; i < 200; ++i) {
    SloVerdict verdict = model.window(controller, share, 80 * kPercent);
    EXPECT_NE(verdict.state, SloState::kCannot);
    changes += i >= 50 && verdict.share_ppm != share ? 1 : 0;
    share = verdict.share_ppm;
  }
  EXPECT_GE(share, 19 * kPercent);
  EXPECT_LE(share, 34 * kPercent);
  EXPECT_EQ(changes, 0) << "no swinging";
}

TEST(Slo, GivesBackWhatIsNotNeeded) {
  SloController controller({990'000, 5 * kMs});
  Model model{.work_ns = 1e6};
  uint32_t share = 80 * kPercent;
  for (int i = 0; i < 300; ++i) share = model.window(controller, share, 80 * kPercent).share_ppm;
  EXPECT_LE(share, 34 * kPercent);
  EXPECT_GE(share, 19 * kPercent);
}

TEST(Slo, ShortBoundsAreGivenBackToo) {
  SloController controller({990'000, 100'000});
  Model model{.work_ns = 2e4};
  uint32_t share = 80 * kPercent;
  for (int i = 0; i < 300; ++i) share = model.window(controller, share, 80 * kPercent).share_ppm;
  EXPECT_LE(share, 34 * kPercent);
}

TEST(Slo, SaysWhenAdmissionDoesNotLeaveEnough) {
  SloController controller({990'000, 5 * kMs});
  Model model{.work_ns = 1e6};
  uint32_t share = 5 * kPercent;
  SloVerdict verdict;
  for (int i = 0; i < 10; ++i) {
    verdict = model.window(controller, share, 10 * kPercent);
    share = verdict.share_ppm;
  }
  EXPECT_EQ(verdict.state, SloState::kCannot);
  EXPECT_EQ(share, 10 * kPercent) << "never more than admission leaves";
  EXPECT_NE(verdict.reason.find("with all of the 10% that it may have it takes "), std::string::npos) << verdict.reason;
  EXPECT_NE(verdict.reason.find("5 ms was asked for"), std::string::npos) << verdict.reason;
  verdict = model.window(controller, share, 60 * kPercent);
  EXPECT_EQ(verdict.state, SloState::kRaised) << "goes on as soon as something is free";
}

TEST(Slo, SaysWhenALargerShareDoesNotHelp) {
  SloController controller({990'000, 5 * kMs});
  Model model{.work_ns = 1e3, .floor_ns = 8e6};  // the launch itself takes 8 ms
  uint32_t share = 5 * kPercent;
  SloVerdict verdict;
  for (int i = 0; i < 12; ++i) {
    verdict = model.window(controller, share, 100 * kPercent);
    share = verdict.share_ppm;
  }
  EXPECT_EQ(verdict.state, SloState::kCannot);
  EXPECT_LE(share, 60 * kPercent) << "does not take all for nothing";
  EXPECT_NE(verdict.reason.find("does not help"), std::string::npos) << verdict.reason;
}

TEST(Slo, FewLaunchesAreNotJudged) {
  SloController controller({990'000, 5 * kMs});
  Model model{.work_ns = 1e5};
  EXPECT_EQ(model.window(controller, 20 * kPercent, 80 * kPercent, 10).state, SloState::kLearning);
  EXPECT_EQ(controller.update(20 * kPercent, 80 * kPercent).state, SloState::kLearning);
  EXPECT_EQ(model.window(controller, 20 * kPercent, 80 * kPercent, 600).state, SloState::kHolds);
  for (int i = 0; i < 3; ++i) controller.observe(50 * kMs);
  EXPECT_EQ(controller.update(20 * kPercent, 80 * kPercent).state, SloState::kRaised) << "but clear misses are";
}

}  // namespace
}  // namespace amalgam::core
