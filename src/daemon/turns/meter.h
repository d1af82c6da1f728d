// SPDX-License-Identifier: Apache-2.0
// Meter: what the kernel counted for one worker's threads, and an alarm when it has used so much more.
//
//   Alarms (made by the thread that waits) ◀──signal, with the session──  Meter::arm(ns)  ◀── the worker's own clock
//
// Theory. What a worker says of itself can only cost it; what it used of the processors is read from the kernel's clock of
// its process, a third of a microsecond a reading. A worker that may not run is not polled for that: a timer on its clock
// stands still while it does, and an idle machine has no wake-ups. The kernel looks at such timers in its ticks, so an
// alarm may be late by one (4 ms at 250 Hz). The clock is late by as much for a thread that runs, and right when it stops.
//
// Threads: the caller locks. Blocking: never.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <functional>

#include "base/error.h"
#include "base/unique_fd.h"

namespace amalgam::daemon {

/// Where alarms arrive.
class Alarms {
 public:
  /// To be called by the thread that waits for them; they come to no other.
  static Result<Alarms> create();
  /// Readable when there are any.
  int fd() const { return fd_.get(); }
  pid_t thread() const { return thread_; }
  /// Calls `rang(session)` for each. Only in that thread.
  void take(const std::function<void(uint64_t)>& rang) const;

 private:
  UniqueFd fd_;
  pid_t thread_ = 0;
};

class Meter {
 public:
  /// Counts nothing.
  Meter() = default;
  /// Counts from now on. Without alarms (nullptr, or the kernel refuses) arm() does nothing.
  Meter(pid_t pid, uint64_t session, const Alarms* alarms);
  ~Meter() { reset(); }
  Meter(Meter&& from) noexcept { swap(from); }
  Meter& operator=(Meter&& from) noexcept {
    swap(from);
    return *this;
  }

  /// Nanoseconds that its threads have run since the last call.
  uint64_t take();
  /// Rings once when it has run for so many more, in place of an earlier alarm.
  void arm(uint64_t ns);

 private:
  void swap(Meter& with) noexcept {
    std::swap(pid_, with.pid_);
    std::swap(seen_ns_, with.seen_ns_);
    std::swap(timer_, with.timer_);
    std::swap(has_timer_, with.has_timer_);
  }
  void reset();

  pid_t pid_ = 0;
  uint64_t seen_ns_ = 0;
  timer_t timer_{};
  bool has_timer_ = false;
};

/// Time that somebody may use beside what it is given: it comes back with the clock, and what is owed is paid first.
class Margin {
 public:
  /// One part in `part` of the time that passes, at most `most_ns`.
  constexpr Margin(uint64_t part, uint64_t most_ns)
      : part_(part), most_ns_(static_cast<int64_t>(most_ns)), balance_ns_(most_ns_) {}
  /// Takes `ns`, at most what is there; says how much there was not.
  uint64_t spend(uint64_t ns, uint64_t now_ns) {
    refill(now_ns);
    const uint64_t there = std::min(ns, left_ns());
    balance_ns_ -= static_cast<int64_t>(there);
    return ns - there;
  }
  /// The same, but what was not there is owed, at most a tenth of `most_ns`.
  void owe(uint64_t ns, uint64_t now_ns) {
    refill(now_ns);
    balance_ns_ = std::max(balance_ns_ - static_cast<int64_t>(std::min<uint64_t>(ns, 1'000'000'000)), -most_ns_ / 10);
  }
  /// As of the last call.
  uint64_t left_ns() const { return static_cast<uint64_t>(std::max<int64_t>(balance_ns_, 0)); }

 private:
  void refill(uint64_t now_ns) {
    const uint64_t passed = now_ns - std::min(now_ns, at_ns_);
    at_ns_ = std::max(at_ns_, now_ns);
    // In whole nanoseconds that are given; what is left over is given the next time.
    const uint64_t gives = passed / part_;
    at_ns_ -= passed - gives * part_;
    balance_ns_ = std::min(most_ns_, balance_ns_ + static_cast<int64_t>(std::min<uint64_t>(gives, 1'000'000'000)));
  }
  uint64_t part_;
  int64_t most_ns_, balance_ns_;
  uint64_t at_ns_ = 0;
};

}  // namespace amalgam::daemon
