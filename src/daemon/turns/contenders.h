// SPDX-License-Identifier: Apache-2.0
// Contenders: the sessions that use one device (or the processors, which all devices on them share), and what a decision
// about it means for their workers: words in their grants pages, SIGSTOP and SIGCONT. Decides nothing.
//
//   granted ──revoke──▶ revoked, what is in flight runs out                granted ◀─grant─ all others
//           ──revoke──▶ frozen, where the device is the processors and it computes
//           ──park────▶ parked: nothing in flight, rings before it goes on ──computes──▶ frozen
//
// Theory. A worker counts a command in flight and then looks at its grant (core/session/turns/turnstile.h); here the grant
// is taken away first and the count looked at second, both sequentially consistent. So what slips past is seen.
//
// Freezing. Even an endless kernel gives the CPU up within microseconds, if the signal goes to a thread that runs. The
// kernel gives a process's signal to its first thread, and that one, asleep, would have to wait for a processor until one of
// those that it is to stop has used up its slice: up to 4 ms. So the threads that compute get it too (Counters::runners; a
// wrong one is none of the process's). The Guardian continues all workers if this process dies; without a guardian nothing
// is frozen until the daemon has started another one.
//
// What a worker says can only cost it. Who says that nothing is in flight is not frozen at a revoke, and sleeps, since it
// has nothing to do; the kernel's clock of its process (meter.h) shows whether it does. Without a grant it has a margin of
// kAsideNs and one part in kAsidePart of the time, for messages; then it is frozen, and wants the device. With a grant and
// at rest, by its word, it has some times more; then it counts as busy. A worker with helper processes computes, whatever
// its own clock says. One whose session has been given another device (by us, not by what a page says) and has work there
// has more of a margin, since who stands still here stands still there. Who runs although it is stopped (its own user can
// continue it) is stopped again, and some times later reported by escaped().
//
// Knocking. A worker asks once it runs, and beside busy neighbours a thread that wakes up may have to wait milliseconds for
// a processor. Its program runs already, and knocks when it launches something while the grant is away: the slice counts as
// wanting the device, neighbours are frozen, and the worker finds its processor free. A knock is believed for kKnockNs, and
// from whoever knocked for nothing no further one.
//
// Binding. Where the device is the CPU, workers are told where their driver's threads are best off
// (worker/place/processors.h says why): one processor each after a freeze, and with launches that use all processors for a
// while; all together with many launches that hardly use the device, as long as nobody else wants it; else anywhere.
//
// Threads: the caller locks. Blocking: never. Lifetime: pages, pidfd and channel of a contender must stay until its erase().
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "core/sched/shares.h"
#include "daemon/host/guardian.h"
#include "daemon/turns/meter.h"
#include "model/grants.h"
#include "protocol/control/channel.h"
#include "protocol/control/control.h"

namespace amalgam::daemon {

/// One session on one device, or on all of its devices that are the processors.
struct Contender {
  static constexpr uint64_t kAsideNs = 2'000'000, kAsidePart = 100;

  uint64_t session = 0;
  core::SliceId slice = 0;
  std::vector<uint32_t> indices;  ///< of the devices in the session
  const model::Counters* counters = nullptr;
  model::Grants* grants = nullptr;
  pid_t pid = 0;  ///< of the worker
  int pidfd = -1;
  const protocol::Channel* worker = nullptr;  ///< null: it is told nothing
  std::shared_ptr<uint32_t> held;             ///< which of the session's devices it may use: bits; shared by its contenders

  Meter meter;
  Margin aside{kAsidePart, kAsideNs};       ///< of the processors, while we do not see it at work
  Margin escapes{kEscapePart, kEscapesNs};  ///< of the processors, although it is stopped
  uint64_t children = 0;                    ///< helper processes that it has
  uint64_t children_ns = 0;                 ///< that they have run, and that was not looked at yet
  bool granted = false, frozen = false;
  bool burning = false;                                          ///< its clock runs, whatever it says
  bool released = false;                                         ///< runs whatever is decided, because it is to end
  protocol::Binding binding = protocol::Binding::kFree;          ///< what its worker has been told
  uint64_t seen_launches = 0, seen_time_ns = 0, seen_at_ns = 0;  ///< of the counters, at the last look for that
  uint64_t knocked_ns = 0;                                       ///< when the program knocked last; 0: never
  uint64_t frozen_at_ns = 0;                                     ///< the last time
  uint64_t since_frozen_ns = 0;                                  ///< what it has run since, as long as it stands still
  std::map<pid_t, pid_t> threads;                                ///< its numbers for its threads when it began, and ours
  std::vector<uint32_t> latencies;                               ///< what of the counters' was looked at; empty: nothing yet

  bool in_flight() const;
  bool wanting() const;
  /// Whatever it says.
  bool computes() const { return burning || children != 0; }
  /// CLOCK_MONOTONIC when it last had nothing in flight any more, as it says.
  uint64_t idle_since_ns() const;

 private:
  static constexpr uint64_t kEscapePart = 1000, kEscapesNs = 100'000'000;
};

class Contenders {
 public:
  /// `freezable`: the device is the processors, and its workers may be stopped.
  Contenders(bool freezable, const Guardian& guardian) : freezable_(freezable), guardian_(guardian) {}

  /// What a slice's workers say, and what is known of them.
  struct Sight {
    bool pending = false, in_flight = false;
    uint64_t idle_for_ns = UINT64_MAX;  ///< since when none of them had anything in flight; UINT64_MAX: it has no contender
    bool busy() const { return pending || in_flight; }
  };
  Sight look(core::SliceId slice, uint64_t now_ns) const;
  /// What the kernel counted for a slice's workers and their helpers since the last call.
  uint64_t measure(core::SliceId slice, uint64_t now_ns);
  /// Freezes whoever computes without a grant: it counts as wanting one, and has not got it.
  void hold_still(uint64_t now_ns);
  /// A worker has so many helper processes, which have run for so long since the last call.
  void note_children(uint64_t session, uint64_t count, uint64_t ran_ns);
  /// Whether a slice's workers have the device.
  bool hold(core::SliceId slice) const;
  /// Of a session that contends here; 0: it does not.
  core::SliceId slice_of(uint64_t session) const;
  /// Sessions whose workers run although they are stopped, since the last call.
  std::vector<uint64_t> escaped() { return std::exchange(escaped_, {}); }

  void grant(core::SliceId slice, uint64_t now_ns);
  void revoke(core::SliceId slice, uint64_t now_ns);
  /// Takes a resting slice's grant, so that it rings before it goes on. It is not frozen for that: who is parked is brought
  /// back by its bell, which a frozen worker cannot ring. False: it has gone on meanwhile, and keeps its grant.
  bool park(core::SliceId slice, uint64_t now_ns);
  /// The slice has the device for itself: tells its workers where their threads are best off. To be called now and then.
  void run_alone(core::SliceId slice, uint64_t now_ns);
  /// Several slices want the device: what was best for one alone is over.
  void run_beside();
  /// A session's program has launched something, which its worker will hear of. False: the last knock was for nothing.
  bool knock(uint64_t session, uint64_t now_ns);
  static constexpr uint64_t kKnockNs = 2'000'000;
  /// Lets one run whatever is decided from now on.
  static void let_go(Contender& contender, uint64_t now_ns);
  static void thaw(Contender& contender, uint64_t now_ns);

  /// With the device, or without.
  void add(Contender contender, bool holds, uint64_t now_ns);
  /// Of one session. True if it had one.
  bool erase(uint64_t session);
  /// False while there is no guardian, as was found at the last attempt.
  bool freezable() const { return freezable_ && guarded_; }

  auto begin() { return contenders_.begin(); }
  auto end() { return contenders_.end(); }

 private:
  static void take_grant(Contender& contender);
  void set_alarm(Contender& contender, uint64_t part);
  static void let_pass(Contender& contender, uint64_t now_ns);
  void judge(Contender& contender, uint64_t used_ns, uint64_t now_ns);
  void judge_escape(Contender& contender, uint64_t used_ns, uint64_t now_ns);
  void freeze(Contender& contender, uint64_t now_ns);

  const bool freezable_;
  bool guarded_ = true;
  const Guardian& guardian_;
  std::vector<Contender> contenders_;
  std::vector<uint64_t> escaped_;
};

}  // namespace amalgam::daemon
