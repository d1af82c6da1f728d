// SPDX-License-Identifier: Apache-2.0
// Contenders: the sessions that use one device, and what a decision about it means for their workers: words in their grants
// pages, SIGSTOP and SIGCONT. Decides nothing.
//
//   granted ──revoke──▶ revoked, what is in flight runs out                granted ◀─grant─ all others
//           ──revoke──▶ frozen, where the device is the CPU and something is in flight
//           ──park────▶ parked: nothing in flight, rings before it goes on
//
// Theory. A worker counts a command in flight and then looks at its grant (core/session/turns/turnstile.h); here the grant
// is taken away first and the count looked at second, both sequentially consistent. So what slips past is seen.
//
// Freezing. Even an endless kernel gives the CPU up within microseconds, if the signal goes to a thread that runs. The
// kernel gives a process's signal to its first thread, and that one, asleep, would have to wait for a processor until one of
// those that it is to stop has used up its slice: up to 4 ms. So the threads that compute get it too (Counters::runners; a
// wrong one is none of the process's). The Guardian continues all workers if this process dies; without a guardian nothing
// is frozen any more. A session with commands on several devices is not frozen for one of them: it starts nothing more
// there, and what runs runs out.
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
#include <vector>

#include "core/sched/shares.h"
#include "daemon/host/guardian.h"
#include "model/grants.h"
#include "protocol/control/channel.h"
#include "protocol/control/control.h"

namespace amalgam::daemon {

/// One session on one device.
struct Contender {
  uint64_t session = 0;
  core::SliceId slice = 0;
  uint32_t index = 0;  ///< of the device in the session
  const model::Counters* counters = nullptr;
  model::Grants* grants = nullptr;
  pid_t pid = 0;  ///< of the worker
  int pidfd = -1;
  const protocol::Channel* worker = nullptr;                     ///< null: it is told nothing
  protocol::Binding binding = protocol::Binding::kFree;          ///< what its worker has been told
  uint64_t seen_launches = 0, seen_time_ns = 0, seen_at_ns = 0;  ///< of the counters, at the last look for that
  uint64_t knocked_ns = 0;                                       ///< when the program knocked last; 0: never
  bool frozen = false;
  bool released = false;            ///< runs whatever is decided, because it is to end
  uint64_t frozen_at_ns = 0;        ///< the last time
  std::vector<uint32_t> latencies;  ///< what of the counters' was looked at; empty: nothing yet

  const model::Counters::Claim& claim() const { return counters->claims[index]; }
  model::Grants::Device& grant() const { return grants->devices[index]; }
};

class Contenders {
 public:
  /// `freezable`: the device is the CPU, and its workers may be stopped.
  Contenders(bool freezable, const Guardian& guardian) : freezable_(freezable), guardian_(guardian) {}

  /// What a slice's workers say.
  struct Sight {
    bool pending = false, in_flight = false;
    uint64_t idle_for_ns = UINT64_MAX;  ///< since when none of them had anything in flight; UINT64_MAX: it has no contender
    bool busy() const { return pending || in_flight; }
  };
  Sight look(core::SliceId slice, uint64_t now_ns) const;

  void grant(core::SliceId slice, uint64_t now_ns);
  void revoke(core::SliceId slice, uint64_t now_ns);
  /// Takes a resting slice's grant, so that it rings before it goes on. It is never frozen for that: who is parked is
  /// brought back by its bell alone, which a frozen worker cannot ring. False: it has gone on meanwhile, and keeps its
  /// grant.
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

  void add(Contender contender) { contenders_.push_back(std::move(contender)); }
  /// Of one session. True if it had one.
  bool erase(uint64_t session);
  /// False from when the guardian was found gone.
  bool freezable() const { return freezable_; }

  auto begin() { return contenders_.begin(); }
  auto end() { return contenders_.end(); }

 private:
  static void let_pass(Contender& contender, uint64_t now_ns);
  void freeze(Contender& contender, uint64_t now_ns);

  bool freezable_;
  const Guardian& guardian_;
  std::vector<Contender> contenders_;
};

}  // namespace amalgam::daemon
