// SPDX-License-Identifier: Apache-2.0
// Shares and caps of greedy tenants, for every mix of kernels: at most 1 point over 10 s, at most 5 in any second.
#include <cstdio>

#include "tests/sched/sim_fixture.h"

namespace amalgam::core::sim {
namespace {

const std::vector<std::vector<uint32_t>> kSplits = {{10, 90}, {25, 75}, {30, 70}, {50, 50}, {20, 30, 50}};

struct Kernels {
  const char* name;
  std::vector<Workload> (*make)(size_t tenants);
};

std::vector<Workload> all(size_t tenants, const Workload& workload) { return std::vector<Workload>(tenants, workload); }

const Kernels kKernels[] = {
    {"50 us", [](size_t n) { return all(n, greedy(50 * kUs)); }},
    {"1 ms", [](size_t n) { return all(n, greedy(kMs)); }},
    {"20 ms", [](size_t n) { return all(n, greedy(20 * kMs)); }},
    {"smallest share has the longest",
     [](size_t n) {
       auto list = all(n, greedy(50 * kUs));
       list[0] = greedy(20 * kMs);
       return list;
     }},
    {"largest share has the longest",
     [](size_t n) {
       auto list = all(n, greedy(50 * kUs));
       list.back() = greedy(20 * kMs);
       return list;
     }},
    {"mixed",
     [](size_t n) {
       std::vector<Workload> list;
       for (size_t i = 0; i < n; ++i) list.push_back(greedy_mixed(i + 1));
       return list;
     }},
    {"gaps of 5 to 50 us",
     [](size_t n) {
       std::vector<Workload> list;
       for (size_t i = 0; i < n; ++i) list.push_back(with_gaps(i + 1, i % 2 == 0 ? 50 * kUs : kMs, 5 * kUs, 50 * kUs));
       return list;
     }},
};

struct Errors {
  double long_run = 0, second = 0;
};

Errors measure(const VirtualDevice::Options& options, const std::vector<uint32_t>& percents, std::vector<Workload> workloads,
               uint64_t for_ns = 20 * kSecond) {
  VirtualDevice device(options);
  std::vector<SliceId> slices;
  std::vector<double> promised;
  for (size_t i = 0; i < percents.size(); ++i) {
    EXPECT_TRUE(device.add(i + 1, "tenant", share(percents[i]), workloads[i]));
    slices.push_back(i + 1);
    promised.push_back(percents[i] / 100.0);
  }
  Samples samples = sample(device, slices, for_ns);
  for (SliceId slice : slices) expect_consistent(device, slice);
  return {samples.worst_error(10 * kSecond, promised), samples.worst_error(kSecond, promised)};
}

void expect_all_splits(const VirtualDevice::Options& options, const char* device) {
  Errors worst;
  for (const Kernels& kernels : kKernels) {
    for (const auto& percents : kSplits) {
      Errors errors = measure(options, percents, kernels.make(percents.size()));
      std::string what = std::string(device) + ", " + kernels.name;
      for (uint32_t percent : percents) what += " " + std::to_string(percent);
      EXPECT_LE(errors.long_run, 1.0) << what;
      EXPECT_LE(errors.second, 5.0) << what;
      worst = {std::max(worst.long_run, errors.long_run), std::max(worst.second, errors.second)};
    }
  }
  std::printf("%s: worst error %.3f points over 10 s, %.3f in a second\n", device, worst.long_run, worst.second);
}

TEST(SimShares, FreezingDevice) { expect_all_splits(freezing(), "freezing"); }
TEST(SimShares, DrainingDevice) { expect_all_splits(draining(), "draining"); }

TEST(SimShares, WhateverTheQuantum) {
  for (uint64_t quantum : {3 * kMs + 700 * kUs, 7 * kMs + 300 * kUs, 25 * kMs, 400 * kMs}) {
    VirtualDevice::Options options = freezing();
    options.arbiter.hints.quantum_ns = quantum;
    expect_all_splits(options, ("freezing, quantum of " + std::to_string(quantum / kUs) + " us").c_str());
  }
}

TEST(SimShares, KernelsOfTwoSecondsOnAFreezingDevice) {
  for (const auto& percents : kSplits) {
    auto workloads = all(percents.size(), greedy(2 * kSecond));
    workloads.back() = greedy_mixed(3, 2 * kSecond);
    Errors errors = measure(freezing(), percents, workloads);
    EXPECT_LE(errors.long_run, 1.0);
    EXPECT_LE(errors.second, 5.0);
  }
}

TEST(SimShares, KernelsOfTwoSecondsInPieces) {
  for (const auto& percents : kSplits) {
    Errors errors = measure(draining(2 * kMs), percents, all(percents.size(), greedy(2 * kSecond)));
    EXPECT_LE(errors.long_run, 1.0);
    EXPECT_LE(errors.second, 5.0);
  }
}

// A kernel that can neither be frozen nor cut is longer than any window; the debt is paid back all the same.
TEST(SimShares, WholeKernelsOfTwoSecondsAreExactInTheLongRun) {
  VirtualDevice device(draining());
  ASSERT_TRUE(device.add(1, "long", share(30), greedy(2 * kSecond)));
  ASSERT_TRUE(device.add(2, "short", share(70), greedy(50 * kUs)));
  device.run_until(400 * kSecond);
  EXPECT_NEAR(static_cast<double>(device.tally(1).held_ns) / (400.0 * kSecond), 0.30, 0.005);
}

TEST(SimShares, TheWholeDeviceIsChargedAndLittleIsLost) {
  for (const VirtualDevice::Options& options : {freezing(), draining()}) {
    VirtualDevice device(options);
    for (SliceId slice = 1; slice <= 3; ++slice) ASSERT_TRUE(device.add(slice, "t", {}, greedy_mixed(slice)));
    device.run_until(10 * kSecond);
    uint64_t charged = 0, executed = 0;
    for (SliceId slice = 1; slice <= 3; ++slice) {
      expect_consistent(device, slice);
      charged += device.totals(slice).ran_ns;
      executed += device.tally(slice).executed_ns;
    }
    EXPECT_EQ(charged, device.now_ns()) << "somebody always has work, so somebody is always charged";
    EXPECT_GE(static_cast<double>(executed), 0.97 * static_cast<double>(device.now_ns()));
  }
}

TEST(SimShares, WithoutSharesWeightsDivide) {
  VirtualDevice device(freezing());
  ASSERT_TRUE(device.add(1, "promised", share(40), greedy(kMs)));
  ASSERT_TRUE(device.add(2, "light", {.weight = 100}, greedy(kMs)));
  ASSERT_TRUE(device.add(3, "heavy", {.weight = 200}, greedy(kMs)));
  Samples samples = sample(device, {1, 2, 3}, 20 * kSecond);
  EXPECT_LE(samples.worst_error(10 * kSecond, {0.4, 0.2, 0.4}), 1.0);
  EXPECT_LE(samples.worst_error(kSecond, {0.4, 0.2, 0.4}), 5.0);
}

void expect_cap_kept(const VirtualDevice::Options& options, uint32_t percent, bool rival, const Workload& workload) {
  VirtualDevice device(options);
  ASSERT_TRUE(device.add(1, "capped", cap(percent), workload));
  if (rival) {
    ASSERT_TRUE(device.add(2, "rival", {}, greedy_mixed(9)));
  }
  Samples samples = sample(device, {1}, 15 * kSecond);
  expect_consistent(device, 1);
  EXPECT_LE(samples.most(10 * kSecond, 0) * 100, percent + 1.0) << "rival " << rival;
  double got = static_cast<double>(device.totals(1).ran_ns) / static_cast<double>(device.now_ns());
  if (!rival) {
    EXPECT_GE(got * 100, percent - 1.0) << "a cap is no less than it says";
  }
}

TEST(SimShares, CapsAreNeverPassed) {
  for (const VirtualDevice::Options& options : {freezing(), draining()}) {
    for (uint32_t percent : {1u, 10u, 37u, 50u, 80u, 95u}) {
      for (bool rival : {false, true}) {
        expect_cap_kept(options, percent, rival, greedy(50 * kUs));
        expect_cap_kept(options, percent, rival, greedy(20 * kMs));
        expect_cap_kept(options, percent, rival, greedy_mixed(7));
        expect_cap_kept(options, percent, rival, with_gaps(8, 100 * kUs, 20 * kUs, 200 * kUs));
      }
    }
  }
}

TEST(SimShares, ACapOfTwoSecondKernelsIsPaidBack) {
  VirtualDevice device(draining());
  ASSERT_TRUE(device.add(1, "capped", cap(20), greedy(2 * kSecond)));
  device.run_until(300 * kSecond);
  EXPECT_NEAR(static_cast<double>(device.totals(1).ran_ns) / (300.0 * kSecond), 0.20, 0.01);
}

// The negative control: the same meter on a device that runs launches as they come, as drivers do.
TEST(SimShares, FirstComeFirstServedFailsTheMeter) {
  auto fifo = [](std::vector<uint64_t> lengths) {
    Samples samples{.slices = {1, 2}};
    std::vector<uint64_t> held(lengths.size());
    uint64_t now = 0;
    for (size_t turn = 0; now < 20 * kSecond; turn = (turn + 1) % lengths.size()) {
      now += lengths[turn];
      held[turn] += lengths[turn];
      while (samples.held.size() * Samples::kEveryNs < now) samples.held.push_back(held);
    }
    return samples;
  };
  EXPECT_LE(fifo({kMs, kMs}).worst_error(10 * kSecond, {0.5, 0.5}), 1.0) << "equal kernels are equal by luck";
  EXPECT_GE(fifo({50 * kUs, 20 * kMs}).worst_error(10 * kSecond, {0.5, 0.5}), 45.0);
  EXPECT_GE(fifo({kMs, kMs}).worst_error(10 * kSecond, {0.3, 0.7}), 15.0);
  EXPECT_GE(fifo({50 * kUs, 20 * kMs}).worst_error(kSecond, {0.1, 0.9}), 5.0);
}

}  // namespace
}  // namespace amalgam::core::sim
