// SPDX-License-Identifier: Apache-2.0
#include "core/sched/goals.h"

#include <gtest/gtest.h>

namespace amalgam::core {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint32_t kPercent = 10'000;

/// A device with an arbiter, and seconds in which a slice's launches take work / share.
struct Device {
  Arbiter arbiter{{.freezable = true}, 0};
  Goals goals;
  uint64_t now_ns = 0;

  Result<void> add(SliceId slice, const Terms& terms) {
    return goals.admit(now_ns, arbiter, slice, terms,
                       [&] { return arbiter.add_slice(now_ns, slice, "slice " + std::to_string(slice), terms); });
  }
  Result<void> set(SliceId slice, const Terms& terms) {
    return goals.admit(now_ns, arbiter, slice, terms, [&] { return arbiter.set_terms(now_ns, slice, terms); });
  }
  uint32_t share(SliceId slice) const {
    for (const Holding& holding : arbiter.holdings())
      if (holding.slice == slice) return holding.terms.share_ppm;
    return 0;
  }
  /// Launches that need `work_ns` of the whole device. Without a share it has a hundredth.
  void second(SliceId slice, uint64_t work_ns) {
    uint32_t part = std::max(share(slice), kPercent);
    goals.observe(slice, work_ns * kWholePpm / part, 600);
    now_ns += Goals::kPeriodNs;
    goals.update(now_ns, arbiter);
  }
};

Terms with_goal(uint64_t bound_ns, uint32_t share_ppm = 0) {
  Terms terms;
  terms.slo.bound_ns = bound_ns;
  terms.share_ppm = share_ppm;
  return terms;
}

Terms with_share(uint32_t share_ppm) {
  Terms terms;
  terms.share_ppm = share_ppm;
  return terms;
}

TEST(Goals, FindTheShareThatKeepsTheBound) {
  Device device;
  ASSERT_TRUE(device.add(1, with_goal(5 * kMs)));
  ASSERT_TRUE(device.add(2, {}));
  EXPECT_NE(device.goals.text(1).find("not judged yet"), std::string::npos) << device.goals.text(1);
  for (int i = 0; i < 20; ++i) device.second(1, 2 * kMs);  // kept with 40 %
  EXPECT_GE(device.share(1), 38 * kPercent);
  EXPECT_LE(device.share(1), 70 * kPercent);
  EXPECT_NE(device.goals.text(1).find("kept with"), std::string::npos) << device.goals.text(1);
  EXPECT_EQ(device.goals.text(2), "");
}

TEST(Goals, SayWhenAllThatIsLeftIsNotEnough) {
  Device device;
  ASSERT_TRUE(device.add(1, with_goal(5 * kMs)));
  ASSERT_TRUE(device.add(2, with_share(70 * kPercent)));
  for (int i = 0; i < 20; ++i) device.second(1, 2 * kMs);
  EXPECT_EQ(device.share(1), 30 * kPercent);
  EXPECT_NE(device.goals.text(1).find("cannot be kept: with all of the 30%"), std::string::npos) << device.goals.text(1);
}

TEST(Goals, AFoundShareStandsBackForWhatOthersAskFor) {
  Device device;
  ASSERT_TRUE(device.add(1, with_goal(5 * kMs, 10 * kPercent)));
  for (int i = 0; i < 20; ++i) device.second(1, 4 * kMs);  // 80 %
  EXPECT_GE(device.share(1), 76 * kPercent);
  EXPECT_TRUE(device.add(2, with_share(50 * kPercent)));
  EXPECT_EQ(device.share(1), 50 * kPercent);
  EXPECT_FALSE(device.add(3, with_share(41 * kPercent))) << "10 % were asked for and stay";
  EXPECT_EQ(device.share(1), 50 * kPercent) << "a refusal changes nothing";
  EXPECT_TRUE(device.set(2, with_share(90 * kPercent)));
  EXPECT_EQ(device.share(1), 10 * kPercent);
  auto asked = device.goals.as_asked(device.arbiter.holdings());
  EXPECT_EQ(asked[0].terms.share_ppm, 10 * kPercent);
  ASSERT_TRUE(device.set(2, {}));
  EXPECT_GE(device.share(1), 76 * kPercent) << "what was found is taken again";
}

TEST(Goals, EndWithTheTermsThatNameThem) {
  Device device;
  ASSERT_TRUE(device.add(1, with_goal(5 * kMs)));
  for (int i = 0; i < 5; ++i) device.second(1, 4 * kMs);
  EXPECT_GT(device.share(1), 0u);
  ASSERT_TRUE(device.set(1, {}));
  EXPECT_EQ(device.share(1), 0u);
  EXPECT_TRUE(device.goals.empty());
  ASSERT_TRUE(device.set(1, with_goal(5 * kMs)));
  EXPECT_EQ(device.share(1), 0u) << "a new goal begins anew";
}

TEST(Goals, AnIdleSliceKeepsItsVerdict) {
  Device device;
  ASSERT_TRUE(device.add(1, with_goal(5 * kMs)));
  for (int i = 0; i < 20; ++i) device.second(1, 2 * kMs);
  std::string said = device.goals.text(1);
  uint32_t share = device.share(1);
  for (int i = 0; i < 20; ++i) device.goals.update(device.now_ns += Goals::kPeriodNs, device.arbiter);
  EXPECT_EQ(device.goals.text(1), said);
  EXPECT_EQ(device.share(1), share);
}

}  // namespace
}  // namespace amalgam::core
