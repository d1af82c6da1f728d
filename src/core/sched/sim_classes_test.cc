// SPDX-License-Identifier: Apache-2.0
// Urgency, guarantees between classes, starvation, lending and gaps, in virtual time.
#include <cstdio>

#include "tests/sched/sim_fixture.h"

namespace amalgam::core::sim {
namespace {

constexpr uint64_t kQuantum = 10 * kMs, kSwitch = 30 * kUs;

double part(VirtualDevice& device, SliceId slice) {
  return static_cast<double>(device.tally(slice).held_ns) / static_cast<double>(device.now_ns());
}

TEST(SimClasses, UrgentWorkWaitsForNoKernelWhereTheDeviceFreezes) {
  for (Priority priority : {Priority::kRealtime, Priority::kHigh}) {
    VirtualDevice device(freezing());
    ASSERT_TRUE(device.add(1, "urgent", of(priority), periodic(1, 10 * kMs, 200 * kUs)));
    ASSERT_TRUE(device.add(2, "hours", share(50), greedy(3600 * kSecond)));
    ASSERT_TRUE(device.add(3, "low", share(20, Priority::kLow), greedy(6 * kSecond)));
    device.run_until(20 * kSecond);
    EXPECT_LE(device.tally(1).wait.quantile_ns(990'000), 100 * kUs);
    // Only the turn of a starved class may be in its way, and that is short.
    EXPECT_LE(device.tally(1).wait.most_ns(), kQuantum + kSwitch);
    EXPECT_EQ(device.tally(1).completed, device.tally(1).arrived - device.tally(1).waiting);
    for (SliceId slice = 1; slice <= 3; ++slice) expect_consistent(device, slice);
  }
}

TEST(SimClasses, ElsewhereItWaitsForOnePiece) {
  VirtualDevice device(draining(3 * kMs));
  ASSERT_TRUE(device.add(1, "urgent", of(Priority::kRealtime), periodic(1, 20 * kMs, 200 * kUs)));
  ASSERT_TRUE(device.add(2, "greedy", {}, greedy(6 * kSecond)));
  device.run_until(20 * kSecond);
  EXPECT_LE(device.tally(1).wait.most_ns(), 3 * kMs + 2 * kSwitch);
  expect_consistent(device, 1);
}

TEST(SimClasses, AGuaranteeHoldsAgainstAGreedyHigherClass) {
  for (const VirtualDevice::Options& options : {freezing(), draining()}) {
    VirtualDevice device(options);
    ASSERT_TRUE(device.add(1, "high", of(Priority::kHigh), greedy_mixed(1)));
    ASSERT_TRUE(device.add(2, "promised", share(30, Priority::kLow), greedy_mixed(2)));
    ASSERT_TRUE(device.add(3, "normal", of(Priority::kNormal), greedy_mixed(3)));
    Samples samples = sample(device, {2}, 20 * kSecond);
    EXPECT_LE(samples.worst_error(10 * kSecond, {0.30}), 1.0);
    EXPECT_LE(samples.worst_error(kSecond, {0.30}), 5.0);
    EXPECT_LE(part(device, 3), 0.02) << "has no guarantee: only its bound of starvation";
    EXPECT_GT(part(device, 3), 0.0005);
    for (SliceId slice = 1; slice <= 3; ++slice) expect_consistent(device, slice);
  }
}

TEST(SimClasses, AGuaranteeAfterLongAbsenceOfItsRivalsStartsAtOnce) {
  VirtualDevice device(freezing());
  ASSERT_TRUE(device.add(2, "promised", share(30, Priority::kLow), greedy(kMs)));
  device.run_until(5 * kSecond);
  ASSERT_TRUE(device.add(1, "high", of(Priority::kHigh), greedy(kMs)));
  Samples samples = sample(device, {2}, 12 * kSecond);
  EXPECT_LE(samples.worst_error(10 * kSecond, {0.30}), 1.0);
  EXPECT_LE(samples.worst_error(kSecond, {0.30}), 5.0);
}

TEST(SimClasses, RealtimeIsNotHeldBackByGuarantees) {
  VirtualDevice device(freezing());
  ASSERT_TRUE(device.add(1, "realtime", of(Priority::kRealtime), greedy(kMs)));
  ASSERT_TRUE(device.add(2, "promised", share(30), greedy(kMs)));
  device.run_until(20 * kSecond);
  EXPECT_GE(part(device, 1), 0.98);
  EXPECT_GT(device.tally(2).completed, 0u) << "its class has a bound of starvation";
}

// With the bounds of Hints no class but idle waits longer than its bound, two quanta, and the piece in flight.
TEST(SimClasses, StarvationIsBoundedAndIdleMayStarve) {
  for (const VirtualDevice::Options& options : {freezing(), draining()}) {
    VirtualDevice device(options);
    const Priority classes[] = {Priority::kRealtime, Priority::kHigh, Priority::kNormal, Priority::kLow, Priority::kIdle};
    for (Priority priority : classes) {
      auto id = static_cast<SliceId>(priority) + 1;
      ASSERT_TRUE(device.add(id, "t", of(priority), greedy_mixed(id)));
    }
    std::array<uint64_t, kPriorities> ran{}, since{};
    std::array<uint64_t, kPriorities> longest{};
    for (uint64_t at = 0; at < 40 * kSecond; at += kMs) {
      device.run_until(at);
      for (size_t i = 0; i < kPriorities; ++i) {
        uint64_t held = device.tally(i + 1).held_ns;
        if (held != ran[i]) since[i] = at;
        ran[i] = held;
        longest[i] = std::max(longest[i], at - since[i]);
      }
    }
    uint64_t slack = 3 * (kQuantum + 20 * kMs);
    EXPECT_LE(longest[1], kSecond + slack);
    EXPECT_LE(longest[2], kSecond + slack);
    EXPECT_LE(longest[3], 5 * kSecond + slack);
    EXPECT_EQ(ran[4], 0u) << "idle runs when nobody else wants to";
    EXPECT_GE(part(device, 1), 0.95);
  }
}

TEST(SimClasses, StrictPriorityStarves) {
  VirtualDevice device(freezing());
  ASSERT_TRUE(device.set_policy("priority"));
  ASSERT_TRUE(device.add(1, "high", of(Priority::kHigh), greedy(kMs)));
  ASSERT_TRUE(device.add(2, "promised", share(50), greedy(kMs)));
  device.run_until(10 * kSecond);
  EXPECT_EQ(device.tally(2).executed_ns, 0u);
  ASSERT_TRUE(device.set_policy("fair"));
  Samples samples = sample(device, {2}, 12 * kSecond);
  EXPECT_NEAR(static_cast<double>(samples.held.back()[0]) / (12.0 * kSecond), 0.5, 0.06) << "changed at run time";
  expect_consistent(device, 2);
}

TEST(SimClasses, AnIdleShareIsLentAndTakenBackWithinAQuantum) {
  for (const VirtualDevice::Options& options : {freezing(), draining()}) {
    VirtualDevice device(options);
    ASSERT_TRUE(device.add(1, "owner", share(50), on_off(700 * kMs, 500 * kMs, kMs)));
    ASSERT_TRUE(device.add(2, "borrower", share(40), greedy(kMs)));
    ASSERT_TRUE(device.add(3, "second", share(10), greedy(kMs)));
    for (uint64_t cycle = 0; cycle < 20; ++cycle) {
      uint64_t begin = cycle * 1200 * kMs, off = begin + 700 * kMs, end = begin + 1200 * kMs;
      device.run_until(off);
      uint64_t others = device.tally(2).held_ns + device.tally(3).held_ns;
      device.run_until(off + 100 * kMs);
      others = device.tally(2).held_ns + device.tally(3).held_ns - others;
      EXPECT_GE(others, 85 * kMs) << "lent within 100 ms, cycle " << cycle;
      device.run_until(end);
      uint64_t owner = device.tally(1).executed_ns;
      device.run_until(end + kQuantum + kMs + 2 * kSwitch);
      EXPECT_GT(device.tally(1).executed_ns, owner) << "taken back within one quantum, cycle " << cycle;
    }
    EXPECT_GT(device.totals(1).lent_ns, 0u);
    for (SliceId slice = 1; slice <= 3; ++slice) expect_consistent(device, slice);
  }
}

TEST(SimClasses, GapsAreNotIdleness) {
  for (uint64_t gap : {5 * kUs, 50 * kUs, 200 * kUs}) {
    VirtualDevice device(freezing());
    ASSERT_TRUE(device.add(1, "gaps", share(50), with_gaps(1, 500 * kUs, gap / 2, gap)));
    ASSERT_TRUE(device.add(2, "greedy", share(50), greedy(kMs)));
    device.run_until(10 * kSecond);
    EXPECT_NEAR(part(device, 1), 0.5, 0.01) << gap;
    // A quantum holds some dozen kernels with their gaps; losing the device in every gap would mean a grant for each.
    EXPECT_LE(device.totals(1).quanta * 5, device.tally(1).completed) << gap;
    expect_consistent(device, 1);
  }
}

TEST(SimClasses, AnIdleHolderDoesNotKeepTheDeviceEmpty) {
  VirtualDevice device(freezing());
  ASSERT_TRUE(device.add(1, "pauses", share(50), with_gaps(1, kMs, 5 * kMs, 9 * kMs)));
  ASSERT_TRUE(device.add(2, "greedy", share(50), greedy(kMs)));
  device.run_until(10 * kSecond);
  uint64_t executed = device.tally(1).executed_ns + device.tally(2).executed_ns;
  EXPECT_GE(static_cast<double>(executed), 0.97 * static_cast<double>(device.now_ns()));
  // It asks for 1 ms each 8 ms, far less than its share, so it gets what it asks for, and waits for a quantum at most.
  EXPECT_LE(device.tally(1).wait.most_ns(), kQuantum + kSwitch);
}

TEST(SimClasses, AloneNeedsNoTimer) {
  VirtualDevice device(freezing());
  ASSERT_TRUE(device.add(1, "alone", {}, greedy(kMs)));
  ASSERT_TRUE(device.add(2, "absent", share(50), Workload{.next = [](uint64_t) { return std::nullopt; }}));
  device.run_until(100 * kSecond);
  EXPECT_LE(device.steps(), 3u);
  EXPECT_EQ(device.tally(1).executed_ns, 100 * kSecond - kSwitch);
  EXPECT_EQ(device.totals(1).quanta, 1u);
}

TEST(SimClasses, DeadlinesAreMetWherePriorityIsNoHelp) {
  auto worst = [](const char* policy) {
    VirtualDevice device(freezing());
    EXPECT_TRUE(device.set_policy(policy));
    Terms tight = share(30), loose = share(30);
    tight.slo = {990'000, 5 * kMs};
    loose.slo = {990'000, 200 * kMs};
    EXPECT_TRUE(device.add(1, "tight", tight, periodic(1, 20 * kMs, 2 * kMs)));
    EXPECT_TRUE(device.add(2, "loose", loose, periodic(2, 100 * kMs, 20 * kMs)));
    EXPECT_TRUE(device.add(3, "greedy", share(40), greedy(50 * kMs)));
    device.run_until(20 * kSecond);
    for (SliceId slice = 1; slice <= 3; ++slice) expect_consistent(device, slice);
    return device.tally(1).latency.quantile_ns(990'000);
  };
  EXPECT_LE(worst("deadline"), 5 * kMs);
  EXPECT_GT(worst("fair"), 5 * kMs) << "the meter would say so";
}

}  // namespace
}  // namespace amalgam::core::sim
