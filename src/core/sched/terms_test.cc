// SPDX-License-Identifier: Apache-2.0
#include "core/sched/terms.h"

#include <gtest/gtest.h>

#include <random>

namespace amalgam::core {
namespace {

Holding holding(SliceId slice, const char* name, uint32_t share_ppm) { return {slice, name, {.share_ppm = share_ppm}}; }

TEST(Terms, PartsAreReadAndWritten) {
  EXPECT_EQ(parse_part("30%").value(), 300'000u);
  EXPECT_EQ(parse_part("12.5 %").value(), 125'000u);
  EXPECT_EQ(parse_part("0.3").value(), 300'000u);
  EXPECT_EQ(parse_part("100%").value(), kWholePpm);
  for (const char* wrong : {"", "%", "abc", "101%", "-1%", "30", "1e1%", "nan", "30%x"})
    EXPECT_FALSE(parse_part(wrong)) << wrong;
  EXPECT_EQ(part_text(300'000), "30 %");
  EXPECT_EQ(part_text(125'000), "12.5 %");
  EXPECT_EQ(part_text(0), "0 %");
}

TEST(Terms, GoalsAreRead) {
  EXPECT_EQ(parse_slo("p99=5ms").value(), (Slo{990'000, 5'000'000}));
  EXPECT_EQ(parse_slo("p99.9=800us").value(), (Slo{999'000, 800'000}));
  EXPECT_EQ(parse_slo("p50=1s").value(), (Slo{500'000, 1'000'000'000}));
  for (const char* wrong : {"", "p99", "99=5ms", "p=5ms", "p100=5ms", "p99=5", "p99=-5ms", "p99=ms"})
    EXPECT_FALSE(parse_slo(wrong)) << wrong;
}

TEST(Terms, SenselessTermsAreRefusedWithASentence) {
  EXPECT_TRUE(check_terms({}));
  EXPECT_EQ(check_terms({.share_ppm = 500'000, .cap_ppm = 300'000}).error().message, "share 50 % is over its own cap 30 %");
  EXPECT_EQ(check_terms({.share_ppm = 1'000}).error().message, "share 0.1 % is too small: at least 1 %, or none");
  EXPECT_FALSE(check_terms({.share_ppm = kWholePpm + 1}));
  EXPECT_FALSE(check_terms({.cap_ppm = 0}));
  EXPECT_FALSE(check_terms({.cap_ppm = kWholePpm + 1}));
  EXPECT_FALSE(check_terms({.weight = 0}));
  EXPECT_FALSE(check_terms({.slo = {990'000, 10}}));
  EXPECT_FALSE(check_terms({.slo = {1'000'000, 5'000'000}}));
  EXPECT_FALSE(check_terms({.priority = Priority::kIdle, .slo = {990'000, 5'000'000}}));
  EXPECT_TRUE(check_terms({.slo = {990'000, 5'000'000}}));
}

TEST(Terms, SharesNeverPassTheWholeAndTheRefusalSaysWhoHoldsWhat) {
  std::vector<Holding> others = {holding(1, "a", 500'000), holding(2, "b", 200'000), holding(3, "c", 0)};
  EXPECT_TRUE(admit(others, holding(4, "d", 300'000)));
  auto refused = admit(others, holding(4, "d", 310'000));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kLimit);
  EXPECT_EQ(refused.error().message,
            "slice \"d\" asks for 31 % of the device, but 30 % is free; slice \"a\" holds 50 %, slice \"b\" holds 20 %");
  EXPECT_TRUE(admit(others, holding(1, "a", 800'000))) << "its own old share does not count";
  EXPECT_TRUE(admit(others, holding(5, "e", 0)));
  EXPECT_EQ(admit(others, holding(5, "e", 2'000'000)).error().code, Code::kInvalidArgument);
}

TEST(Terms, AFullDeviceNamesThreeHoldersAndSumsTheRest) {
  std::vector<Holding> others;
  for (SliceId i = 1; i <= 5; ++i) others.push_back(holding(i, "s", 200'000));
  EXPECT_NE(admit(others, holding(9, "x", 10'000)).error().message.find("0 % is free; "), std::string::npos);
  EXPECT_NE(admit(others, holding(9, "x", 10'000)).error().message.find(", and 2 more hold 40 %"), std::string::npos);
}

TEST(Terms, TheRestIsDividedByWeightWithinAClass) {
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

TEST(Terms, APromisedDeviceStillServesTheOthersABit) {
  auto standings = divide(std::vector<Holding>{holding(1, "a", kWholePpm), holding(2, "b", 0), holding(3, "c", 0)});
  EXPECT_EQ(standings[1].weight_ppm + standings[2].weight_ppm, kLeastRestPpm);
  EXPECT_EQ(standings[1].rate_ppm, 0u);
}

TEST(Terms, RatesNeverPassTheWhole) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 500; ++round) {
    std::vector<Holding> holdings;
    for (SliceId i = 1 + random() % 12; i > 0; --i) {
      Holding next{i, "s", {.weight = static_cast<uint32_t>(1 + random() % kMostWeight)}};
      next.terms.priority = static_cast<Priority>(random() % kPriorities);
      if (random() % 2) next.terms.share_ppm = kLeastSharePpm + random() % 300'000;
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
