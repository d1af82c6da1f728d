// SPDX-License-Identifier: Apache-2.0
// Seeded workloads and the share meter, for tests in virtual time.
//
// The meter reads how long each slice held the device, from the device and not from the arbiter, every 50 ms, and compares
// each window with what each slice was promised. A plain first-come first-served device must fail it (sim_shares_test.cc).
//
// Threads: none.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <utility>

#include "core/sched/virtual_device.h"

namespace amalgam::core::sim {

inline constexpr uint64_t kUs = 1'000, kMs = 1'000'000, kSecond = 1'000'000'000;

using Random = std::mt19937_64;

inline uint64_t between(Random& random, uint64_t least, uint64_t most) { return least + random() % (most - least + 1); }

/// Always has the next kernel ready.
inline Workload greedy(uint64_t length_ns) {
  return {.next = [=](uint64_t from) { return Launch{from, length_ns}; }};
}

/// Always has the next kernel ready; lengths of 50 us to 20 ms, most of them short.
inline Workload greedy_mixed(uint64_t seed, uint64_t longest_ns = 20 * kMs) {
  auto random = std::make_shared<Random>(seed);
  return {.next = [=](uint64_t from) {
    uint64_t kind = (*random)() % 10;
    uint64_t length = kind < 6 ? between(*random, 50 * kUs, 200 * kUs) : kind < 9 ? kMs : longest_ns;
    return Launch{from, length};
  }};
}

/// Works on the host between two kernels.
inline Workload with_gaps(uint64_t seed, uint64_t length_ns, uint64_t least_gap_ns, uint64_t most_gap_ns) {
  auto random = std::make_shared<Random>(seed);
  return {.next = [=](uint64_t from) { return Launch{from + between(*random, least_gap_ns, most_gap_ns), length_ns}; }};
}

/// One kernel every period, with a tenth of jitter.
inline Workload periodic(uint64_t seed, uint64_t period_ns, uint64_t length_ns) {
  auto random = std::make_shared<Random>(seed);
  return {.closed = false, .next = [=](uint64_t from) {
            return Launch{from + between(*random, period_ns - period_ns / 10, period_ns + period_ns / 10), length_ns};
          }};
}

/// Greedy for a while, absent for a while.
inline Workload on_off(uint64_t on_ns, uint64_t off_ns, uint64_t length_ns) {
  return {.next = [=](uint64_t from) {
    uint64_t cycle = on_ns + off_ns, in_cycle = from % cycle;
    return Launch{in_cycle < on_ns ? from : from + (cycle - in_cycle), length_ns};
  }};
}

/// What each slice held up to each sample.
struct Samples {
  static constexpr uint64_t kEveryNs = 50 * kMs;
  std::vector<SliceId> slices;
  std::vector<std::vector<uint64_t>> held;  ///< [sample][slice]

  /// The largest difference, in points (hundredths of a window), between part and promise over all windows that long.
  double worst_error(uint64_t window_ns, const std::vector<double>& promised) const {
    size_t span = window_ns / kEveryNs;
    double worst = 0;
    for (size_t from = 0; from + span < held.size(); ++from) {
      for (size_t i = 0; i < slices.size(); ++i) {
        double part = static_cast<double>(held[from + span][i] - held[from][i]) / static_cast<double>(window_ns);
        worst = std::max(worst, std::abs(part - promised[i]) * 100);
      }
    }
    return worst;
  }
  /// The largest part of any window that slice `index` held.
  double most(uint64_t window_ns, size_t index) const {
    size_t span = window_ns / kEveryNs;
    double most = 0;
    for (size_t from = 0; from + span < held.size(); ++from)
      most =
          std::max(most, static_cast<double>(held[from + span][index] - held[from][index]) / static_cast<double>(window_ns));
    return most;
  }
};

/// Runs on for `for_ns` and samples.
inline Samples sample(VirtualDevice& device, std::vector<SliceId> slices, uint64_t for_ns) {
  Samples samples{.slices = std::move(slices)};
  uint64_t end = device.now_ns() + for_ns;
  for (uint64_t at = device.now_ns(); at <= end; at += Samples::kEveryNs) {
    device.run_until(at);
    std::vector<uint64_t> row;
    for (SliceId slice : samples.slices) row.push_back(device.tally(slice).held_ns);
    samples.held.push_back(std::move(row));
  }
  return samples;
}

inline Terms share(uint32_t percent, Priority priority = Priority::kNormal) {
  return {.share_ppm = percent * 10'000, .priority = priority};
}
inline Terms cap(uint32_t percent) { return {.cap_ppm = percent * 10'000}; }
inline Terms of(Priority priority) { return {.priority = priority}; }

inline VirtualDevice::Options freezing() { return {.arbiter = {.freezable = true}}; }
inline VirtualDevice::Options draining(uint64_t piece_ns = 0) { return {.piece_ns = piece_ns}; }

/// Nothing is lost, doubled or unaccounted for, whatever happened before.
inline void expect_consistent(VirtualDevice& device, SliceId slice, uint64_t added_ns = 0) {
  const VirtualDevice::Tally& tally = device.tally(slice);
  const Totals& totals = device.totals(slice);
  EXPECT_EQ(device.first_violation(), "");
  EXPECT_EQ(tally.arrived, tally.completed + tally.waiting + tally.lost) << "slice " << slice;
  EXPECT_EQ(tally.executed_ns, tally.completed_ns + tally.unfinished_ns) << "slice " << slice;
  EXPECT_EQ(totals.wall_ns(), device.now_ns() - added_ns) << "slice " << slice;
  uint64_t waits = 0;
  for (const WaitCause& cause : totals.waits) waits += cause.waited_ns;
  EXPECT_EQ(waits, totals.waited_ns) << "slice " << slice;
  EXPECT_EQ(totals.ran_ns, device.arbiter().used_ns(slice)) << "slice " << slice;
  EXPECT_GE(totals.ran_ns, tally.executed_ns) << "slice " << slice;
  EXPECT_LE(totals.ran_ns, tally.held_ns) << "slice " << slice;
}

}  // namespace amalgam::core::sim
