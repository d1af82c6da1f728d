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
// Where the processor is free: twice the last short wait, half as much after every long one, up to a bound. On machines of a
// few processors the bound is not much more than a wake-up costs, so that spinning never wastes much: a waiter that spins
// through each kernel of 50 µs holds half of a machine of two, and no yield tells, because the kernel's threads have
// been put beside each other on the other half. A wait that was slept through seems longer than it is, on both sides of a
// ring, and both would sleep for ever because the other does; so now and then one spins as long as it may, to see.
//
// Rejected: spinning without yielding (the driver's thread then waits for the end of the spinner's slice), a fixed budget
// (right for one kernel length only).
//
// Threads: one waiter at a time.
#pragma once

#include <algorithm>
#include <cstdint>

namespace amalgam::protocol {

/// How many processors this thread may run on.
unsigned usable_processors();

class SpinBudget {
 public:
  SpinBudget() : SpinBudget(usable_processors()) {}
  /// `processors`: how many there are for the waiter, its peer and the driver.
  explicit SpinBudget(unsigned processors) : most_ns_(processors <= kFew ? kMostOfFewNs : kMostNs) {}

  /// Nanoseconds to spin now, yielding; 0: the processor is contended, pause briefly and sleep.
  uint64_t yielding_ns() {
    if (resting_ != 0) {
      --resting_;
      return 0;
    }
    if (budget_ns_ >= most_ns_ / 2 || ++skipped_ < kProbeEvery) return budget_ns_;
    skipped_ = 0;
    return most_ns_;
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
    // A wait that spinning might have covered.
    bool was_short = waited_ns < (spinning ? most_ns_ : most_ns_ + kWakeUpNs);
    uint64_t next = was_short ? 2 * waited_ns + kMinNs : budget_ns_ / 2;
    budget_ns_ = std::clamp(next, kMinNs, most_ns_);
  }

  static constexpr uint64_t kPauseNs = 500;  ///< what is spun without yielding where yielding does not pay

 private:
  static constexpr unsigned kFew = 3;  // with fewer than four, two spinners leave less than half for the work
  static constexpr uint64_t kMinNs = 1'000, kMostNs = 100'000, kMostOfFewNs = 40'000;
  static constexpr uint64_t kWakeUpNs = 15'000;         // what a sleeper's wait seems longer by; 5 to 50 µs
  static constexpr uint64_t kContendedTurnNs = 50'000;  // a free yield takes under 1 µs, a driver thread's start under 20
  static constexpr uint32_t kMinRest = 8, kMaxRest = 512;
  static constexpr uint32_t kProbeEvery = 256;
  const uint64_t most_ns_;
  uint64_t budget_ns_ = most_ns_;
  uint32_t rest_ = 0, resting_ = 0;
  uint32_t skipped_ = 0;  ///< waits since the last probe
};

}  // namespace amalgam::protocol
