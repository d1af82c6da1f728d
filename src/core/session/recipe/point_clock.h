// SPDX-License-Identifier: Apache-2.0
// PointClock: when a reliable session takes its next point (journal.h).
//
// Theory. A point costs C; without one everything since the last is executed again when a worker dies, once in M. The sum of
// both is least at an interval of sqrt(2 · C · M) (J. W. Young, A first order approximation to the optimum checkpoint
// interval, CACM 17(9), 1974). M is nothing that one worker can measure, so it is assumed: an hour, and a minute where a
// worker of the session has died already. What follows is bounded twice: what is to be executed again stays below ten
// seconds, and points never take more than a fiftieth of the time, which comes first.
//
//     an hour:   C = 1 ms ─▶ 2.7 s     10 ms ─▶ 8.5 s     100 ms ─▶ 10 s     1 s ─▶ 50 s
//     a minute:  C = 1 ms ─▶ 0.35 s    10 ms ─▶ 1.1 s     100 ms ─▶ 5 s      1 s ─▶ 50 s
//
// Threads: plain values. Times are nanoseconds of protocol::monotonic_ns().
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace amalgam::core {

class PointClock {
 public:
  static constexpr uint64_t kLeastNs = 100'000'000, kMostNs = 10'000'000'000;
  static constexpr uint64_t kHourNs = 3'600'000'000'000, kMinuteNs = 60'000'000'000;
  static constexpr uint64_t kLeastPerCost = 50;

  explicit PointClock(uint64_t mean_time_to_failure_ns) : mean_ns_(mean_time_to_failure_ns) {}
  uint64_t interval_ns(uint64_t cost_ns) const {
    const double young = std::sqrt(2.0 * static_cast<double>(cost_ns) * static_cast<double>(mean_ns_));
    const uint64_t wanted = std::clamp(static_cast<uint64_t>(young), kLeastNs, kMostNs);
    return std::max(wanted, kLeastPerCost * std::min(cost_ns, UINT64_MAX / kLeastPerCost));
  }
  bool is_due(uint64_t now_ns) const { return now_ns >= due_ns_; }
  uint64_t due_ns() const { return due_ns_; }
  /// A point was taken, and held the session up from `begin_ns` to `end_ns`.
  void taken(uint64_t begin_ns, uint64_t end_ns) { due_ns_ = end_ns + interval_ns(end_ns - begin_ns); }
  /// None could be taken now.
  void missed(uint64_t now_ns) { due_ns_ = now_ns + kRetryNs; }

 private:
  static constexpr uint64_t kRetryNs = 1'000'000'000;
  uint64_t mean_ns_;
  uint64_t due_ns_ = 0;
};

}  // namespace amalgam::core
