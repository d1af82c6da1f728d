// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch/explainer.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "protocol/codec.h"

namespace amalgam::daemon {
namespace {

using protocol::kAnotherSlice;

constexpr uid_t kMe = 1000, kYou = 1001;

/// Slices 1 and 2 are mine, 3 and 4 are yours; of 9 nothing is known.
const Names::Known* find(core::SliceId slice) {
  static const std::map<uint64_t, Names::Known> kKnown = {
      {1, {"training", kMe}}, {2, {"urgent", kMe}}, {3, {"secret", kYou}}, {4, {"hidden", kYou}}};
  auto found = kKnown.find(slice);
  return found == kKnown.end() ? nullptr : &found->second;
}

Arbitration::Account account() {
  Arbitration::Account account;
  account.totals.wait(3, core::Rule::kFair, 5);
  account.totals.wait(2, core::Rule::kClass, 20);
  account.totals.wait(4, core::Rule::kFair, 7);
  account.totals.wait(0, core::Rule::kSwitch, 1);
  account.holder = 4;
  account.last_decision = 8;
  core::Record record{.at_ns = 100, .until_ns = 200, .slice = 3, .rule = core::Rule::kFair, .previous = 1};
  record.ended = core::End::kPreempted;
  record.previous_end_ns = 90;
  record.passed_over = 6;
  record.passed = {1, 9, 4, 2};
  account.decisions.push_back(record);
  return account;
}

TEST(Explainer, OthersAreAnotherSliceForOrdinaryUsers) {
  Names names(find, kMe, false);
  protocol::Explanation answer;
  fill(answer, account(), names);
  ASSERT_EQ(answer.waits.size(), 3u) << "what is hidden is one";
  EXPECT_EQ(answer.waits[0].slice, 2u);
  EXPECT_EQ(answer.waits[1].slice, kAnotherSlice);
  EXPECT_EQ(answer.waits[1].waited_ns, 12u);
  EXPECT_EQ(answer.waits[2].slice, 0u);
  EXPECT_EQ(answer.holder, kAnotherSlice);
  const protocol::DecisionEntry& decision = answer.decisions.at(0);
  EXPECT_EQ(decision.slice, kAnotherSlice);
  EXPECT_EQ(decision.previous, 1u);
  EXPECT_EQ(decision.previous_ended, "preempted");
  EXPECT_EQ(decision.passed, (std::vector<uint64_t>{1, kAnotherSlice, kAnotherSlice, 2}));
  EXPECT_EQ(decision.passed_over, 6u);
  ASSERT_EQ(answer.slices.size(), 2u);
  EXPECT_EQ(answer.slices[0].name, "training");
  EXPECT_EQ(answer.slices[1].name, "urgent");
}

TEST(Explainer, WhoSeesAllSeesEveryNameThatIsKnown) {
  Names names(find, kMe, true);
  protocol::Explanation answer;
  fill(answer, account(), names);
  EXPECT_EQ(answer.waits.size(), 4u);
  EXPECT_EQ(answer.holder, 4u);
  EXPECT_EQ(answer.decisions.at(0).passed, (std::vector<uint64_t>{1, 9, 4, 2})) << "without a name it is a number";
  EXPECT_EQ(answer.slices.size(), 4u);
  EXPECT_EQ(answer.rules.at(static_cast<size_t>(core::Rule::kFair)).name, "fair");
}

TEST(Explainer, TheLargestAnswerFitsIntoOneMessage) {
  Names::Known known{std::string(200, 'n'), kMe};
  Names names([&](core::SliceId) { return &known; }, kMe, true);
  Arbitration::Account full;
  for (core::SliceId whom = 1; whom <= kWaitCauses; ++whom) full.totals.wait(whom, core::Rule::kFair, whom);
  for (uint64_t i = 1; i <= kExplainDecisions; ++i) {
    core::Record record{.slice = 1000 * i, .previous = 1000 * i + 1, .ended = core::End::kPreempted, .passed_over = 100};
    record.passed = {1000 * i + 2, 1000 * i + 3, 1000 * i + 4, 1000 * i + 5};
    full.decisions.push_back(record);
  }
  protocol::Explanation answer;
  answer.program = std::string(128, 'p');
  answer.slice_name = std::string(128, 's');
  answer.device_id = std::string(128, 'd');
  fill(answer, full, names);
  EXPECT_EQ(answer.slices.size(), kExplainNames);
  EXPECT_EQ(answer.slices[0].name.size(), kExplainNameBytes);
  std::vector<std::byte> room(kMaxControlBytes - 8);
  size_t bytes = protocol::encode(answer, room);
  ASSERT_NE(bytes, 0u);
  protocol::Explanation read;
  ASSERT_TRUE(protocol::decode({room.data(), bytes}, read));
  EXPECT_EQ(read.decisions.size(), kExplainDecisions);
  EXPECT_EQ(read.decisions.back().passed, answer.decisions.back().passed);
  EXPECT_EQ(read.slices.back().name, answer.slices.back().name);
  EXPECT_EQ(read.rules.size(), core::kRules);
}

}  // namespace
}  // namespace amalgam::daemon
