// SPDX-License-Identifier: Apache-2.0
#include "core/sched/shares.h"

#include <gtest/gtest.h>

#include <random>

#include "base/limits.h"

namespace amalgam::core {
namespace {

Holding holding(SliceId slice, const char* name, uint32_t share_ppm) { return {slice, name, {.share_ppm = share_ppm}}; }

TEST(Shares, SharesNeverPassTheWholeAndTheRefusalSaysWhoHoldsWhat) {
  std::vector<Holding> others = {holding(1, "a", 500'000), holding(2, "b", 200'000), holding(3, "c", 0)};
  EXPECT_TRUE(admit(others, holding(4, "d", 300'000)));
  auto refused = admit(others, holding(4, "d", 310'000));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kLimit);
  EXPECT_EQ(refused.error().message,
            "a share of 31% is asked for, but the device has 30% free; slice 1 \"a\" holds 50%, slice 2 \"b\" holds 20%");
  EXPECT_TRUE(admit(others, holding(1, "a", 800'000))) << "its own old share does not count";
  EXPECT_TRUE(admit(others, holding(5, "e", 0)));
  EXPECT_EQ(admit(others, holding(5, "e", 2'000'000)).error().code, Code::kInvalidArgument);
}

TEST(Shares, AFullDeviceNamesThreeHoldersAndSumsTheRest) {
  std::vector<Holding> others;
  for (SliceId i = 1; i <= 5; ++i) others.push_back(holding(i, "s", 200'000));
  EXPECT_NE(admit(others, holding(9, "x", 10'000)).error().message.find("has 0% free; "), std::string::npos);
  EXPECT_NE(admit(others, holding(9, "x", 10'000)).error().message.find(", and 2 more hold 40%"), std::string::npos);
}

TEST(Shares, TheRestIsDividedByWeightWithinAClass) {
  std::vector<Holding> holdings = {holding(1, "a", 400'000),
                                   {2, "b", {.weight = 100}},
                                   {3, "c", {.weight = 300}},
                                   {4, "d", {.priority = Priority::kIdle}}};
  auto standings = divide(holdings);
  EXPECT_EQ(standings[0].weight_ppm, 400'000u);
  EXPECT_EQ(standings[1].weight_ppm, 150'000u);
  EXPECT_EQ(standings[2].weight_ppm, 450'000u);
  EXPECT_EQ(standings[3].weight_ppm, 600'000u) << "alone in its class";
  EXPECT_EQ(standings[3].rate_ppm, 0u) << "idle goes before nobody";
}

TEST(Shares, APromisedDeviceStillServesTheOthersABit) {
  auto standings = divide(std::vector<Holding>{holding(1, "a", kWholePpm), holding(2, "b", 0), holding(3, "c", 0)});
  EXPECT_EQ(standings[1].weight_ppm + standings[2].weight_ppm, kLeastRestPpm);
  EXPECT_EQ(standings[1].rate_ppm, 0u);
}

TEST(Shares, RatesNeverPassTheWhole) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 500; ++round) {
    std::vector<Holding> holdings;
    for (SliceId i = 1 + random() % 12; i > 0; --i) {
      Holding next{i, "s", {.weight = static_cast<uint32_t>(1 + random() % Terms::kMostWeight)}};
      next.terms.priority = static_cast<Priority>(random() % kPriorities);
      if (random() % 2) next.terms.share_ppm = kMinSharePpm + random() % 300'000;
      if (admit(holdings, next)) holdings.push_back(next);
    }
    uint64_t rates = 0;
    for (const Standing& standing : divide(holdings)) {
      rates += standing.rate_ppm;
      EXPECT_GE(standing.weight_ppm, kLeastWeightPpm);
    }
    EXPECT_LE(rates, kWholePpm);
  }
}

}  // namespace
}  // namespace amalgam::core
