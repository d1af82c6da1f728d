// SPDX-License-Identifier: Apache-2.0
// GapEstimator: how long a slice that holds the device may be without work before it counts as idle.
//
// Between two commands a program works on the host for 5 to 50 us, sometimes 200. Taking the device away in such a gap costs
// two switches and gains nothing; leaving it with a slice that has gone idle costs everybody the rest of a quantum. As with
// a lock that spins before it sleeps, the right patience is a little more than the gap that this slice usually makes, and
// never more than what waiting is worth at all:
//
//   tolerance = clamp(mean + 4 deviations, kLeastNs, kMostNs)      mean and deviation of the slice's own gaps (EWMA)
//
// A slice whose usual gap is longer than kMostNs is sporadic and gets the least: waiting for it would not pay in most cases,
// so it should not be tried. A gap counts as at most kLongestNs, so that one long pause is forgotten after some dozen
// commands.
//
// Threads: a plain value.
#pragma once

#include <algorithm>
#include <cstdint>

namespace amalgam::core {

class GapEstimator {
 public:
  static constexpr uint64_t kLeastNs = 50'000;
  static constexpr uint64_t kMostNs = 2'000'000;
  static constexpr uint64_t kLongestNs = 2 * kMostNs;

  /// The slice had no work for this long, and then had some.
  void learn(uint64_t gap_ns) {
    auto gap = static_cast<int64_t>(std::min(gap_ns, kLongestNs));
    int64_t error = gap - mean_ns_;
    mean_ns_ += error / kMeanPart;
    deviation_ns_ += ((error < 0 ? -error : error) - deviation_ns_) / kDeviationPart;
  }
  /// Once it has no work it will have none for long.
  bool is_sporadic() const { return static_cast<uint64_t>(mean_ns_) > kMostNs; }
  uint64_t tolerance_ns() const {
    if (is_sporadic()) return kLeastNs;
    return std::clamp(static_cast<uint64_t>(mean_ns_) + 4 * static_cast<uint64_t>(deviation_ns_), kLeastNs, kMostNs);
  }

 private:
  static constexpr int64_t kMeanPart = 8, kDeviationPart = 4;
  // A slice that nothing is known of is taken for one with short gaps.
  int64_t mean_ns_ = 50'000;
  int64_t deviation_ns_ = 40'000;
};

}  // namespace amalgam::core
