// SPDX-License-Identifier: Apache-2.0
// WakeRelay: whether the driver's threads leave it to the dispatcher to wake the program; judged by how the dispatcher
// rests.
//
// Theory. A driver's thread that ends a kernel calls back before it wakes the driver's other threads for the next one. The
// program that it wakes takes its processor from it there and then, and the others sleep on for 10 µs and more. So while a
// program keeps its device at work, the driver's threads wake the dispatcher, which is a batch thread then and interrupts
// nobody (SCHED_BATCH): it runs as soon as one of them sleeps, and wakes the program, often for two launches at once.
// Measured on two processors with two launches in flight, launches a millisecond, with the program woken directly, relayed
// and bare: of 36 us 20.5, 22.0 and 23.4; of 72 us 12.1, 12.8 and 13.1; of 670 us 1.46, 1.49 and 1.50. No difference where
// each launch is waited for.
//
// A batch thread that is woken beside somebody else's work waits for its end, or for a tick. So it is worth it only where
// rests are brisk and this process has its processors nearly for itself: it uses 0.8 of them and more then, and 0.65 and
// less beside one busy thread. A longer rest with work in flight ends it at once, and for some windows. Where there are many
// processors the program finds an idle one.
//
// Rejected: judging by whether launches overlap (while they do not yet, nothing says that they could), no batch thread while
// nothing is in flight (it drains between two launches all the time: nothing gained any more), a timer for each rest (it
// costs what is gained, where it is shorter than a tick).
//
// Threads: one at a time.
#pragma once

#include <cstdint>

namespace amalgam::worker {

class WakeRelay {
 public:
  using Clock = uint64_t (*)();
  /// `used`: for how many nanoseconds all threads of this process have run.
  WakeRelay(unsigned processors, Clock used) : processors_(processors), used_(used) {}

  struct Rest {
    uint64_t ended_ns, took_ns;
    bool at_work;  ///< something was in flight when it began
    bool stopped;  ///< it could not have ended sooner
  };
  /// After each rest: whether it is worth it now.
  bool is_worth_it(const Rest& rest);

  static constexpr uint64_t kBriskNs = 2'000'000;
  static constexpr uint64_t kWindowNs = 10'000'000;
  static constexpr unsigned kRests = 8;   ///< in a window, at least
  static constexpr unsigned kDoubt = 10;  ///< windows
  static constexpr unsigned kFew = 4;     ///< processors

 private:
  bool looks_worth_it(uint64_t window_ns) const;
  void begin_window(uint64_t now_ns);

  const unsigned processors_;
  const Clock used_;
  bool worth_it_ = false;
  uint64_t since_ns_ = 0, used_before_ns_ = 0;  ///< of the window
  unsigned rests_ = 0;                          ///< in it, at work
  unsigned doubt_ = 0;                          ///< windows to go
};

}  // namespace amalgam::worker
