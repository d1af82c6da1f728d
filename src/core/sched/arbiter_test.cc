// SPDX-License-Identifier: Apache-2.0
#include "core/sched/arbiter.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace amalgam::core {
namespace {

constexpr uint64_t kUs = 1'000, kMs = 1'000'000, kSecond = 1'000'000'000;
constexpr uint64_t kForever = Arbiter::kForeverNs;

/// "grant 1 until 10000000, revoke 2": what a step did.
std::string text(const Arbiter::Step& step) {
  std::string all;
  for (const Arbiter::Action& action : step) {
    if (!all.empty()) all += ", ";
    const char* verbs[] = {"grant ", "revoke ", "hung "};
    all += verbs[static_cast<size_t>(action.kind)] + std::to_string(action.slice);
    if (action.kind != Arbiter::ActionKind::kGrant) continue;
    all += action.until_ns == kForever ? " for ever" : " until " + std::to_string(action.until_ns / kUs);
  }
  return all;
}

struct ArbiterTest : testing::Test {
  explicit ArbiterTest(bool freezable = true) : arbiter({.freezable = freezable, .hang_after_ns = 2 * kSecond}, 0) {}

  void add(SliceId slice, const Terms& terms = {}) { ASSERT_TRUE(arbiter.add_slice(0, slice, "s", terms)); }
  std::string busy(uint64_t now, SliceId slice) {
    arbiter.observe(now, slice, {.pending = true, .in_flight = slice == arbiter.holder()});
    return text(arbiter.step(now));
  }
  std::string idle(uint64_t now, SliceId slice) {
    arbiter.observe(now, slice, {});
    return text(arbiter.step(now));
  }
  std::string step(uint64_t now) { return text(arbiter.step(now)); }

  Arbiter arbiter;
};
struct DrainingArbiterTest : ArbiterTest {
  DrainingArbiterTest() : ArbiterTest(false) {}
};

TEST_F(ArbiterTest, AloneHoldsTheDeviceWithoutATimer) {
  add(1);
  EXPECT_EQ(step(0), "");
  EXPECT_EQ(busy(kMs, 1), "grant 1 for ever");
  EXPECT_EQ(arbiter.step(kMs).next_wake_ns, kForever);
  EXPECT_EQ(idle(2 * kMs, 1), "") << "keeps it while nobody else wants it";
  EXPECT_EQ(arbiter.step(kSecond).next_wake_ns, kForever);
  EXPECT_EQ(busy(2 * kSecond, 1), "");
  EXPECT_EQ(arbiter.holder(), 1u);
}

TEST_F(ArbiterTest, ASecondSliceEndsTheOpenGrant) {
  add(1);
  add(2);
  busy(0, 1);
  EXPECT_EQ(busy(3 * kMs, 2), "grant 1 until 10000") << "a quantum after it began";
  EXPECT_EQ(arbiter.step(3 * kMs).next_wake_ns, 10 * kMs);
  EXPECT_EQ(step(10 * kMs), "revoke 1, grant 2 until 20000");
  EXPECT_EQ(step(20 * kMs), "revoke 2, grant 1 until 30000");
}

TEST_F(ArbiterTest, AReturningSliceIsServedAtOnceOnADeviceHeldForLong) {
  add(1);
  add(2);
  busy(0, 2);
  idle(kMs, 2);
  busy(kMs, 1);
  step(kMs + 500 * kUs);
  ASSERT_EQ(arbiter.holder(), 1u);
  EXPECT_EQ(busy(500 * kMs, 2), "revoke 1, grant 2 until 510000");
  EXPECT_EQ(arbiter.history().list().back().rule, Rule::kReturn);
}

TEST_F(ArbiterTest, WhenTheOtherLeavesTheGrantOpensAgain) {
  add(1);
  add(2);
  busy(0, 1);
  busy(0, 2);
  ASSERT_EQ(step(10 * kMs), "revoke 1, grant 2 until 20000");
  idle(12 * kMs, 1);
  EXPECT_EQ(step(20 * kMs), "grant 2 for ever");
}

TEST_F(ArbiterTest, AGapKeepsTheDeviceAndIdlenessLosesIt) {
  add(1);
  add(2);
  busy(0, 1);
  busy(0, 2);
  EXPECT_EQ(idle(kMs, 1), "") << "may be a gap";
  uint64_t patience = arbiter.step(kMs).next_wake_ns;
  EXPECT_GE(patience, kMs + GapEstimator::kLeastNs);
  EXPECT_LE(patience, kMs + GapEstimator::kMostNs);
  EXPECT_EQ(busy(kMs + 40 * kUs, 1), "");
  idle(2 * kMs, 1);
  uint64_t end = arbiter.step(2 * kMs).next_wake_ns;
  EXPECT_EQ(step(end).substr(0, 17), "revoke 1, grant 2") << "lent";
  EXPECT_EQ(arbiter.used_ns(1), end) << "the gap is charged";
  EXPECT_EQ(busy(end + 3 * kMs, 1).substr(0, 13), "grant 2 until") << "same class: waits for the quantum, which ends now";
  EXPECT_EQ(step(end + 10 * kMs).substr(0, 17), "revoke 2, grant 1");
}

TEST_F(ArbiterTest, UrgentWorkPreempts) {
  add(1);
  add(2, {.priority = Priority::kHigh});
  busy(0, 1);
  EXPECT_EQ(busy(4 * kMs, 2), "revoke 1, grant 2 until 14000");
  EXPECT_EQ(arbiter.totals(4 * kMs, 1)->preemptions, 1u);
  auto last = arbiter.history().list().back();
  EXPECT_EQ(last.previous, 1u);
  EXPECT_EQ(last.ended, End::kPreempted);
  EXPECT_EQ(last.passed_over, 1u);
  EXPECT_EQ(last.passed[0], 1u);
  idle(5 * kMs, 2);
  EXPECT_EQ(step(5 * kMs + GapEstimator::kMostNs), "revoke 2, grant 1 for ever");
}

TEST_F(ArbiterTest, WhoWorksNowAndThenIsSporadic) {
  add(1);
  add(2, {.priority = Priority::kHigh});
  busy(0, 1);
  for (uint64_t at = 50 * kMs; at <= kSecond; at += 50 * kMs) {
    busy(at, 2);
    ASSERT_EQ(arbiter.holder(), 2u);
    idle(at + kMs, 2);
    step(at + 4 * kMs);
    ASSERT_EQ(arbiter.holder(), 1u);
  }
  EXPECT_TRUE(arbiter.is_sporadic(2));
  EXPECT_FALSE(arbiter.is_sporadic(1));
  EXPECT_FALSE(arbiter.is_sporadic(3)) << "unknown";
}

TEST_F(ArbiterTest, WhoWasSentAwayBetweenTwoCommandsIsNotSporadic) {
  add(1);
  add(2);
  busy(0, 1);
  busy(0, 2);
  uint64_t at = 0;
  for (int turn = 0; turn < 40; ++turn) {
    step(at += 10 * kMs);
    if (arbiter.holder() != 1) continue;
    arbiter.observe(at + 100 * kUs, 2, {.idle_for_ns = 150 * kUs});
    busy(at + 9 * kMs, 2);
  }
  EXPECT_FALSE(arbiter.is_sporadic(2));
}

TEST_F(ArbiterTest, RaisingAPriorityPreemptsToo) {
  add(1);
  add(2);
  busy(0, 1);
  busy(kMs, 2);
  ASSERT_TRUE(arbiter.set_terms(2 * kMs, 2, {.priority = Priority::kRealtime}));
  EXPECT_EQ(step(2 * kMs), "revoke 1, grant 2 until 12000");
}

TEST_F(ArbiterTest, ACapThrottlesEvenAlone) {
  add(1, {.cap_ppm = 500'000});
  EXPECT_EQ(busy(0, 1), "grant 1 until 50000");
  EXPECT_EQ(step(50 * kMs + kUs), "revoke 1");
  EXPECT_EQ(arbiter.holder(), 0u);
  uint64_t wake = arbiter.step(50 * kMs + kUs).next_wake_ns;
  EXPECT_GT(wake, 50 * kMs + kUs);
  EXPECT_EQ(step(wake).substr(0, 7), "grant 1");
  EXPECT_EQ(arbiter.totals(wake, 1)->throttled_ns, wake - 50 * kMs - kUs);
  ASSERT_TRUE(arbiter.set_terms(wake, 1, {}));
  EXPECT_EQ(step(wake), "grant 1 for ever") << "a cap that is lifted";
}

TEST_F(DrainingArbiterTest, NobodyIsGrantedBeforeTheLastHasLeft) {
  add(1);
  add(2);
  busy(0, 1);
  busy(0, 2);
  EXPECT_EQ(step(10 * kMs), "revoke 1");
  EXPECT_EQ(arbiter.draining(), 1u);
  EXPECT_EQ(step(15 * kMs), "");
  arbiter.drained(18 * kMs, 1);
  EXPECT_EQ(step(18 * kMs), "grant 2 until 28000");
  EXPECT_EQ(arbiter.used_ns(1), 18 * kMs) << "what was in flight is charged";
  const auto& waits = arbiter.totals(18 * kMs, 2)->waits;
  ASSERT_EQ(waits.size(), 2u);
  EXPECT_EQ(waits[1].rule, Rule::kDrain);
  EXPECT_EQ(waits[1].whom, 1u);
  EXPECT_EQ(waits[1].waited_ns, 8 * kMs);
}

TEST_F(DrainingArbiterTest, ASliceThatDoesNotLeaveHangs) {
  add(1);
  add(2);
  busy(0, 1);
  busy(0, 2);
  step(10 * kMs);
  EXPECT_EQ(arbiter.step(10 * kMs).next_wake_ns, 10 * kMs + 2 * kSecond);
  EXPECT_EQ(step(10 * kMs + 2 * kSecond), "hung 1, grant 2 for ever");
  EXPECT_EQ(busy(3 * kSecond, 1), "") << "is not granted while its work hangs";
  arbiter.drained(4 * kSecond, 1);
  EXPECT_NE(step(4 * kSecond), "") << "competes again";
  EXPECT_TRUE(arbiter.totals(4 * kSecond, 1)->waits.back().rule == Rule::kHung);
}

TEST_F(DrainingArbiterTest, ARevokedSliceThatGoesHoldsNobodyUp) {
  add(1);
  add(2);
  busy(0, 1);
  busy(0, 2);
  step(10 * kMs);
  arbiter.remove_slice(11 * kMs, 1);
  EXPECT_EQ(step(11 * kMs), "grant 2 for ever");
  arbiter.drained(12 * kMs, 1);
  arbiter.observe(12 * kMs, 1, {.pending = true});
  EXPECT_EQ(step(12 * kMs), "") << "late reports of a slice that is gone";
}

TEST_F(DrainingArbiterTest, ALateAnswerToAnOldRevokeFreesNothing) {
  add(1);
  add(2);
  busy(0, 1);
  busy(0, 2);
  arbiter.drained(kMs, 1);
  EXPECT_EQ(step(kMs), "");
  EXPECT_EQ(arbiter.holder(), 1u);
}

TEST_F(ArbiterTest, ALostDeviceHoldsNothing) {
  add(1);
  busy(0, 1);
  arbiter.lose_device(kMs);
  EXPECT_EQ(arbiter.holder(), 0u);
  EXPECT_EQ(step(kMs), "");
  EXPECT_EQ(busy(2 * kMs, 1), "grant 1 for ever");
  EXPECT_EQ(arbiter.history().list().back().ended, End::kLost);
}

TEST_F(ArbiterTest, ADecisionSaysWhenTheOneBeforeStopped) {
  add(1);
  add(2);
  busy(0, 1);
  busy(0, 2);
  step(10 * kMs);
  auto turn = arbiter.history().list().back();
  EXPECT_EQ(turn.slice, 2u);
  EXPECT_EQ(turn.previous, 1u);
  EXPECT_EQ(turn.previous_end_ns, 10 * kMs);
  arbiter.lose_device(15 * kMs);
  busy(18 * kMs, 1);
  auto later = arbiter.history().list().back();
  EXPECT_EQ(later.at_ns, 18 * kMs);
  EXPECT_EQ(later.previous, 2u);
  EXPECT_EQ(later.previous_end_ns, 15 * kMs) << "the device rested in between";
}

TEST_F(ArbiterTest, IdlenessThatIsReportedLateIsGivenBack) {
  add(1);
  busy(0, 1);
  arbiter.observe(100 * kMs, 1, {.idle_for_ns = 60 * kMs});
  uint64_t ran = arbiter.totals(100 * kMs, 1)->ran_ns;
  EXPECT_GE(ran, 40 * kMs);
  EXPECT_LE(ran, 40 * kMs + GapEstimator::kMostNs);
  EXPECT_EQ(arbiter.used_ns(1), ran);
  EXPECT_EQ(arbiter.totals(100 * kMs, 1)->wall_ns(), 100 * kMs);
}

TEST_F(ArbiterTest, CorrectionsAreChargedAndShown) {
  add(1);
  add(2);
  busy(0, 1);
  busy(0, 2);
  arbiter.correct(10 * kMs, 1, 20'000'000);
  EXPECT_EQ(arbiter.totals(10 * kMs, 1)->corrected_ns, 20'000'000);
  EXPECT_EQ(step(10 * kMs), "revoke 1, grant 2 until 20000");
  EXPECT_EQ(step(20 * kMs), "grant 2 until 30000") << "1 owes two quanta more";
  EXPECT_EQ(step(30 * kMs), "grant 2 until 40000");
  EXPECT_EQ(step(40 * kMs), "revoke 2, grant 1 until 50000");
}

TEST_F(ArbiterTest, RefusalsChangeNothing) {
  add(1, {.share_ppm = 700'000});
  EXPECT_EQ(arbiter.add_slice(0, 1, "again", {}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(arbiter.add_slice(0, 0, "nobody", {}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(arbiter.add_slice(0, 2, "much", {.share_ppm = 400'000}).error().message,
            "add slice: a share of 40% is asked for, but the device has 30% free; slice 1 \"s\" holds 70%");
  EXPECT_EQ(arbiter.set_terms(0, 9, {}).error().code, Code::kNotFound);
  EXPECT_EQ(arbiter.set_terms(0, 1, {.cap_ppm = 1}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(arbiter.set_policy(0, "magic").error().code, Code::kNotFound);
  EXPECT_EQ(arbiter.holdings().size(), 1u);
  EXPECT_EQ(arbiter.holdings()[0].terms.share_ppm, 700'000u);
  EXPECT_EQ(arbiter.policy(), "fair");
  EXPECT_EQ(arbiter.totals(0, 9), nullptr);
}

TEST_F(ArbiterTest, TimeNeverRunsBackwards) {
  add(1);
  busy(kSecond, 1);
  EXPECT_EQ(step(kMs), "");
  EXPECT_EQ(arbiter.totals(kMs, 1)->wall_ns(), kSecond);
}

TEST_F(ArbiterTest, WhatWasLentIsCounted) {
  add(1, {.share_ppm = 300'000});
  add(2);
  busy(0, 2);
  EXPECT_EQ(arbiter.totals(kSecond, 1)->lent_ns, 300 * kMs);
  EXPECT_EQ(arbiter.totals(kSecond, 1)->idle_ns, kSecond);
}

TEST_F(ArbiterTest, WeeksAloneDoNotOverflowVirtualTime) {
  add(1, {.weight = 1});
  add(2, {.weight = 10'000});
  busy(0, 1);
  for (uint64_t day = 1; day <= 4000; ++day) step(day * 86'400 * kSecond);
  uint64_t now = 4000 * 86'400 * kSecond;
  busy(now, 2);
  for (int quantum = 1; quantum <= 400; ++quantum) step(now + quantum * 10 * kMs);
  EXPECT_GE(arbiter.used_ns(2), 3'900 * kMs) << "weights still mean what they say";
}

}  // namespace
}  // namespace amalgam::core
