// SPDX-License-Identifier: Apache-2.0
#include "core/sched/explain.h"

#include <gtest/gtest.h>

namespace amalgam::core {
namespace {

TEST(Explain, WaitsAreSplitByWhomAndRule) {
  Totals totals;
  totals.wait(1, Rule::kFair, 10);
  totals.wait(2, Rule::kFair, 20);
  totals.wait(1, Rule::kDrain, 5);
  totals.wait(1, Rule::kFair, 1);
  ASSERT_EQ(totals.waits.size(), 3u);
  EXPECT_EQ(totals.waits[0].waited_ns, 11u);
  EXPECT_EQ(totals.waited_ns, 36u);
}

TEST(Explain, CausesAreBoundedAndNothingIsLost) {
  Totals totals;
  for (SliceId whom = 1; whom <= 1000; ++whom) totals.wait(whom, Rule::kFair, whom);
  ASSERT_EQ(totals.waits.size(), kWaitCauses);
  EXPECT_EQ(totals.waits.back().whom, 0u);
  uint64_t sum = 0;
  for (const WaitCause& cause : totals.waits) sum += cause.waited_ns;
  EXPECT_EQ(sum, 500'500u);
  EXPECT_EQ(totals.waited_ns, sum);
  totals.wait(1, Rule::kFair, 100);
  EXPECT_EQ(totals.waits.front().waited_ns, 101u) << "known causes go on";
}

TEST(Explain, HistoryKeepsTheLast) {
  History history;
  EXPECT_TRUE(history.list().empty());
  for (uint64_t at = 1; at <= kDecisionHistory + 5; ++at) history.add({.at_ns = at});
  auto list = history.list();
  ASSERT_EQ(list.size(), kDecisionHistory);
  EXPECT_EQ(list.front().at_ns, 6u);
  EXPECT_EQ(list.back().at_ns, kDecisionHistory + 5);
  EXPECT_EQ(history.count(), kDecisionHistory + 5);
}

TEST(Explain, EveryEndHasAName) {
  for (uint8_t i = 0; i <= static_cast<uint8_t>(End::kLost); ++i) EXPECT_FALSE(end_name(static_cast<End>(i)).empty());
}

TEST(Explain, HistoryGoesOnFromANumber) {
  History history;
  EXPECT_TRUE(history.since(0, 10).empty());
  for (uint64_t at = 1; at <= 5; ++at) history.add({.at_ns = at});
  auto numbers = [&](uint64_t after, uint64_t most) {
    std::vector<uint64_t> found;
    for (const Record& record : history.since(after, most)) found.push_back(record.at_ns);
    return found;
  };
  EXPECT_EQ(numbers(3, 10), (std::vector<uint64_t>{4, 5}));
  EXPECT_EQ(numbers(0, 2), (std::vector<uint64_t>{4, 5})) << "the newest";
  EXPECT_TRUE(numbers(5, 10).empty());
  EXPECT_TRUE(numbers(UINT64_MAX, 10).empty());
  for (uint64_t at = 6; at <= kDecisionHistory + 5; ++at) history.add({.at_ns = at});
  EXPECT_EQ(numbers(2, UINT64_MAX).front(), 6u) << "3, 4 and 5 are forgotten";
  EXPECT_EQ(numbers(2, UINT64_MAX).size(), kDecisionHistory);
}

}  // namespace
}  // namespace amalgam::core
