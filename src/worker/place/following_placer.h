// SPDX-License-Identifier: Apache-2.0
// FollowingPlacer: where the dispatcher may run, anywhere, where it is put, or where its program wakes it from; and whether
// it relays.
//
//   following: anywhere ──woken kSettle times in a row from one processor──▶ there ──as often from another──▶ there
//                       ◀─── at work for kLongNs without a rest, or building ──┤
//                       ◀─── after a rest of kLongNs ──────────────────────────┤
//                       ◀─── woken as often by a program that does not wait ───┤
//                       ◀─── about to relay ───────────────────────────────────┘
//
// Theory. A program that waits for each launch wakes the dispatcher and sleeps, and is woken by a thread of the driver:
// program and dispatcher are one line of work, of which one at a time runs. On one processor that is two switches. On two
// it is two interrupts, each into the middle of a work-group while the driver's threads hold both. Measured on two
// processors with two launches in flight, microseconds a launch: of work-groups of 9 us 18 and not 25 to 33, of 18 us 34 and
// not 40, of 36 us 43 and not 53 (the bare driver: 39). The kernel wakes a thread where it ran last, so which of the two it
// is is left to chance.
//
// Where the dispatcher works long, on a copy or a row of commands, or the program does not wait for what it asks for, they
// would stand in each other's way; so then it may run anywhere until it has been woken as often again. Who launches now and
// then gains nothing by it, and would come where a neighbour runs, which is as likely there as elsewhere.
//
// While it relays (worker/place/wake_relay.h) it is a batch thread and may run anywhere.
//
// Threads that the dispatcher starts while it is bound would inherit that, and keep it through a kernel that runs for hours.
// start_threads_in() sees to most of them; for those that a driver starts with attributes of its own the dispatcher is free
// where drivers start threads, and what was started all the same is freed with it.
//
// Threads: a DispatcherPlacer's calls on the dispatcher, but relays() on any; the others on any one thread.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "core/session/turns/dispatcher_placer.h"
#include "protocol/link/ring.h"
#include "worker/place/affinity.h"
#include "worker/place/wake_relay.h"

namespace amalgam::worker {

class FollowingPlacer final : public core::DispatcherPlacer {
 public:
  using Clock = uint64_t (*)();
  /// `dispatcher`: the thread to place, now anywhere in `all`. `now` tells nanoseconds, `used` how many of them all threads
  /// of this process have run.
  FollowingPlacer(pid_t dispatcher, const cpu_set_t& all, Clock now = protocol::monotonic_ns, Clock used = process_time_ns)
      : dispatcher_(dispatcher), all_(all), now_(now), relay_(static_cast<unsigned>(CPU_COUNT(&all)), used) {}

  void follow();
  /// One of `all`.
  void stay(int processor);

  uint64_t rest_begins(uint64_t in_flight) override;
  void rest_ends(std::optional<unsigned> processor, bool stopped) override;
  void builds() override;
  bool relays() const override { return relays_.load(std::memory_order_relaxed); }

  static constexpr unsigned kSettle = 8;
  static constexpr uint64_t kLongNs = 1'000'000;

 private:
  bool has_followed() const;
  void leave();
  void relay(bool yes);
  void bind(int processor);
  void free();

  static constexpr int kAnywhere = -1;
  const pid_t dispatcher_;
  const cpu_set_t all_;
  const Clock now_;
  std::mutex mutex_;  ///< whoever places the dispatcher holds it
  std::atomic<bool> following_{false};
  std::atomic<int> at_{kAnywhere};
  std::atomic<bool> relays_{false};
  std::vector<pid_t> before_;  ///< the threads that were there when the dispatcher was bound
  // The dispatcher's own.
  int candidate_ = kAnywhere;
  unsigned times_ = 0;      ///< in a row that it was the candidate
  unsigned strangers_ = 0;  ///< in a row that it was nobody
  WakeRelay relay_;
  uint64_t awake_since_ns_ = 0, resting_since_ns_ = 0;
  bool was_at_work_ = false;  ///< something was in flight when it went to rest
};

}  // namespace amalgam::worker
