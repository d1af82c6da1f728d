// SPDX-License-Identifier: Apache-2.0
#include "core/sched/policy.h"

#include <gtest/gtest.h>

namespace amalgam::core {
namespace {

constexpr int64_t kMs = 1'000'000;

Candidate candidate(SliceId slice, Priority priority, int64_t vruntime_ms = 0, int64_t credit_ms = 0,
                    uint32_t share_ppm = 0) {
  Candidate result;
  result.slice = slice;
  result.priority = priority;
  result.weight_ppm = share_ppm != 0 ? share_ppm : 500'000;
  result.vruntime_ns = vruntime_ms * kMs;
  result.credit_ns = credit_ms * kMs;
  result.share_ppm = share_ppm;
  return result;
}

struct PolicyTest : testing::Test {
  Decision choose(const char* policy, std::vector<Candidate> candidates) {
    snapshot.candidates = std::move(candidates);
    return (*find_policy(policy))->choose(snapshot, hints);
  }
  void expect(const Decision& decision, SliceId slice, Rule rule) {
    EXPECT_EQ(decision.slice, slice);
    EXPECT_EQ(rule_name(decision.rule), rule_name(rule));
  }
  Snapshot snapshot{.now_ns = 100};
  Hints hints;
};

TEST_F(PolicyTest, AreFoundByName) {
  for (const Policy& policy : policies()) EXPECT_EQ(find_policy(policy.name).value(), &policy);
  EXPECT_EQ(find_policy("magic").error().message, "there is no policy \"magic\": choose one of fair, priority, deadline");
}

TEST_F(PolicyTest, NobodyIsChosenFromNobody) {
  for (const Policy& policy : policies()) EXPECT_EQ(policy.choose({}, hints).slice, 0u);
}

TEST_F(PolicyTest, OneAloneRunsUnderEveryPolicy) {
  for (const Policy& policy : policies())
    expect(policy.choose({.candidates = {candidate(7, Priority::kLow)}}, hints), 7, Rule::kAlone);
}

TEST_F(PolicyTest, OfThoseNotAheadTheEarliestDeadlineRuns) {
  // Mean: 10. 1 is ahead. 2 and 3 are eligible; 3 weighs more, so its quantum ends earlier in virtual time.
  auto ahead = candidate(1, Priority::kNormal, 30, 0, 100'000);
  auto light = candidate(2, Priority::kNormal, 5, 0, 100'000);
  auto heavy = candidate(3, Priority::kNormal, 8, 0, 800'000);
  expect(choose("fair", {ahead, light, heavy}), 3, Rule::kFair);
  expect(choose("fair", {ahead, light}), 2, Rule::kFair);
}

TEST_F(PolicyTest, EqualsAreServedInTheOrderOfTheirComing) {
  auto first = candidate(9, Priority::kNormal), second = candidate(3, Priority::kNormal);
  first.ready_since_ns = 1;
  second.ready_since_ns = 2;
  expect(choose("fair", {second, first}), 9, Rule::kFair);
}

TEST_F(PolicyTest, AReturningSliceWithinItsShareIsNext) {
  auto greedy = candidate(1, Priority::kNormal), returned = candidate(2, Priority::kNormal, 100, 5);
  returned.returned = true;
  expect(choose("fair", {greedy, returned}), 2, Rule::kReturn);
  returned.credit_ns = 0;
  expect(choose("fair", {greedy, returned}), 1, Rule::kFair);
}

TEST_F(PolicyTest, TheMoreUrgentClassRuns) {
  expect(choose("fair", {candidate(1, Priority::kLow), candidate(2, Priority::kHigh, 500, -500)}), 2, Rule::kClass);
  expect(choose("priority", {candidate(1, Priority::kIdle), candidate(2, Priority::kLow)}), 2, Rule::kClass);
}

TEST_F(PolicyTest, AGuaranteeBehindGoesBeforeAClassThatIsAhead) {
  auto high = candidate(1, Priority::kHigh, 0, -3), promised = candidate(2, Priority::kLow, 0, 1, 300'000);
  Decision decision = choose("fair", {high, promised});
  expect(decision, 2, Rule::kGuarantee);
  EXPECT_EQ(decision.quantum_ns, hints.short_quantum_ns) << "a more urgent one waits";
  expect(choose("priority", {high, promised}), 1, Rule::kClass);
  high.credit_ns = 1;
  expect(choose("fair", {high, promised}), 1, Rule::kWithinShare);
  high.credit_ns = -1;
  promised.credit_ns = 0;
  expect(choose("fair", {high, promised}), 1, Rule::kClass);
  promised.credit_ns = kMs;
  promised.share_ppm = 0;
  expect(choose("fair", {high, promised}), 1, Rule::kClass);
}

TEST_F(PolicyTest, OnlyThoseWithinTheirShareGoBeforeAGuarantee) {
  auto over = candidate(1, Priority::kHigh, 0, -3), within = candidate(3, Priority::kHigh, 900, 1);
  expect(choose("fair", {over, within, candidate(2, Priority::kLow, 0, 1, 300'000)}), 3, Rule::kWithinShare);
}

TEST_F(PolicyTest, RealtimeYieldsToNoGuarantee) {
  expect(choose("fair", {candidate(1, Priority::kRealtime, 0, -900), candidate(2, Priority::kHigh, 0, 900, 300'000)}), 1,
         Rule::kClass);
}

TEST_F(PolicyTest, AStarvedClassHasItsTurnButIdle) {
  snapshot.now_ns = 10'000'000'000;
  auto realtime = candidate(1, Priority::kRealtime);
  for (Priority priority : {Priority::kHigh, Priority::kNormal, Priority::kLow}) {
    Decision decision = choose("fair", {realtime, candidate(2, priority)});
    expect(decision, 2, Rule::kStarvation);
    EXPECT_EQ(decision.quantum_ns, hints.short_quantum_ns);
  }
  expect(choose("fair", {realtime, candidate(2, Priority::kIdle)}), 1, Rule::kClass);
  expect(choose("priority", {realtime, candidate(2, Priority::kNormal)}), 1, Rule::kClass);
  expect(choose("deadline", {realtime, candidate(2, Priority::kNormal)}), 2, Rule::kStarvation);
  snapshot.unserved_since_ns.fill(9'500'000'000);
  expect(choose("fair", {realtime, candidate(2, Priority::kNormal)}), 1, Rule::kClass);
}

TEST_F(PolicyTest, DeadlinesCountWithinTheShareOnly) {
  auto soon = candidate(1, Priority::kNormal, 500, 1), later = candidate(2, Priority::kNormal, 400, 1);
  auto none = candidate(3, Priority::kNormal, 0, 1);
  soon.deadline_ns = 50;
  later.deadline_ns = 70;
  expect(choose("deadline", {none, later, soon}), 1, Rule::kDeadline);
  soon.credit_ns = 0;
  expect(choose("deadline", {none, later, soon}), 2, Rule::kDeadline);
  later.credit_ns = 0;
  expect(choose("deadline", {none, later, soon}), 3, Rule::kFair);
  expect(choose("deadline", {later, candidate(4, Priority::kRealtime)}), 4, Rule::kClass);
}

TEST_F(PolicyTest, WaitersKnowTheirOwnRule) {
  EXPECT_EQ(waiting_rule(Rule::kFair, Priority::kNormal, Priority::kNormal), Rule::kFair);
  EXPECT_EQ(waiting_rule(Rule::kFair, Priority::kNormal, Priority::kLow), Rule::kClass);
  EXPECT_EQ(waiting_rule(Rule::kFair, Priority::kNormal, Priority::kHigh), Rule::kQuantum);
  EXPECT_EQ(waiting_rule(Rule::kAlone, Priority::kNormal, Priority::kNormal), Rule::kQuantum);
  EXPECT_EQ(waiting_rule(Rule::kReturn, Priority::kNormal, Priority::kNormal), Rule::kReturn);
  EXPECT_EQ(waiting_rule(Rule::kGuarantee, Priority::kLow, Priority::kHigh), Rule::kGuarantee);
}

TEST_F(PolicyTest, EveryRuleHasANameAndASentence) {
  for (size_t i = 0; i < kRules; ++i) {
    EXPECT_FALSE(rule_name(static_cast<Rule>(i)).empty());
    EXPECT_GT(rule_text(static_cast<Rule>(i)).size(), rule_name(static_cast<Rule>(i)).size());
  }
}

TEST_F(PolicyTest, NegativeVirtualTimesHaveAnEligibleSliceToo) {
  expect(choose("fair", {candidate(1, Priority::kNormal, -7), candidate(2, Priority::kNormal, -4)}), 1, Rule::kFair);
  EXPECT_EQ(virtual_mean(snapshot.candidates, Priority::kNormal, 3), -5'500'000);
  EXPECT_EQ(virtual_mean(snapshot.candidates, Priority::kHigh, 3), 3);
}

}  // namespace
}  // namespace amalgam::core
