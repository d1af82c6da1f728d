// SPDX-License-Identifier: Apache-2.0
// SpinBudget: how long a waiter may spin before it sleeps, learned from its own waits.
//
// Theory. A wake-up of a sleeping thread costs 5–50 µs, a spinning one sees the word within 1 µs; but on a machine with two
// processors a spinner may hold the one that its peer, or the driver's threads, need. So a spinner yields on every turn.
// Where nobody else wants the processor a yield returns in under a microsecond; where somebody does, it returns after his
// time slice, which may be milliseconds. A turn that took long therefore says two things at once: the processor is
// contended, and sleeping is better, because a thread that slept is put before one that did not. Then the waiter sleeps at
// once, and for a while (twice as long every time, up to kMaxRest waits) only pauses for a moment without yielding.
//
// Where the processor is free: twice the last short wait, half as much after every long one.
//
// Rejected: spinning without yielding (the driver's thread then waits for the end of the spinner's slice), a fixed budget
// (right for one kernel length only).
//
// Threads: one waiter at a time.
#pragma once

#include <algorithm>
#include <cstdint>

namespace amalgam::protocol {

class SpinBudget {
 public:
  /// Nanoseconds to spin now, yielding; 0: the processor is contended, pause briefly and sleep.
  uint64_t yielding_ns() {
    if (resting_ == 0) return budget_ns_;
    --resting_;
    return 0;
  }
  /// A yield took as long as somebody else's time slice.
  static bool is_contended(uint64_t turn_ns) { return turn_ns > kContendedTurnNs; }
  void contended() {
    rest_ = std::min(2 * rest_ + kMinRest, kMaxRest);
    resting_ = rest_;
  }
  /// A wait ended after `waited_ns`, in the spin (`spinning`) or in sleep.
  void waited(uint64_t waited_ns, bool spinning) {
    if (resting_ != 0) return;
    if (spinning) rest_ /= 2;
    uint64_t next = waited_ns < kShortWaitNs ? 2 * waited_ns + kMinNs : budget_ns_ / 2;
    budget_ns_ = std::clamp(next, kMinNs, kMaxNs);
  }

  static constexpr uint64_t kPauseNs = 2'000;  ///< what is spun without yielding where yielding does not pay

 private:
  static constexpr uint64_t kFirstNs = 50'000, kMinNs = 1'000, kMaxNs = 100'000;
  static constexpr uint64_t kShortWaitNs = 200'000;     // a wait that spinning might have covered
  static constexpr uint64_t kContendedTurnNs = 50'000;  // a free yield takes under 1 µs, a driver thread's start under 20
  static constexpr uint32_t kMinRest = 8, kMaxRest = 512;
  uint64_t budget_ns_ = kFirstNs;
  uint32_t rest_ = 0, resting_ = 0;
};

}  // namespace amalgam::protocol
