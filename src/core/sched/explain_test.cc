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

}  // namespace
}  // namespace amalgam::core
