// SPDX-License-Identifier: Apache-2.0
// MemoryBudget: the worker's side of the ledger: what the daemon has granted, and what live objects use of it.
//
//   take ──▶ granted - used enough? ── yes ─▶ used grows
//                   │ no
//                   └─ Reserve ─▶ daemon ─ Granted ─▶ granted grows, look again     (0: refused)
//   give_back ─▶ used shrinks; what is over twice the slack is Returned
//
// Invariant: used ≤ granted, and granted is what the daemon has in its ledger for this session, or will have when it hears
// the messages that are on their way. The slack saves a round trip for small allocations; a Reclaim takes it back at once.
//
// The daemon may be away for a while: what is said to it then waits in the socket. One that comes back asks what is held,
// forgets whatever was said before the answer, and is asked again for what nobody has answered. A take that needs the daemon
// waits up to the patience for it and is then refused.
//
// Threads: thread-safe. Messages are sent with the lock held, which keeps them in the order of the numbers. Blocking: take()
// as above; nothing else.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "base/error.h"
#include "base/limits.h"
#include "model/counters.h"
#include "protocol/control/control.h"

namespace amalgam::core {

class MemoryBudget {
 public:
  /// The way to the daemon. Called with the budget's lock held; must not call back. A message that cannot be sent is lost
  /// together with the daemon, and the next one asks.
  class Daemon {
   public:
    virtual ~Daemon() = default;
    virtual void send(const protocol::Reserve& reserve) = 0;
    virtual void send(const protocol::Return& give) = 0;
    virtual void send(const protocol::Held& held) = 0;
  };

  /// `counters` may be null; `quota_bytes` 0: none.
  MemoryBudget(Daemon& daemon, model::Counters* counters, uint64_t quota_bytes, uint64_t patience_ms = kDaemonGoneMs);
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// Reserves `bytes` exactly. kOutOfMemory: refused, the message says who holds what; kUnavailable: no daemon.
  Result<void> take(uint64_t bytes);
  /// Gives back what take() reserved.
  void give_back(uint64_t bytes);

  /// The daemon's answer to a Reserve, also a late one.
  void on_granted(const protocol::Granted& granted);
  /// The daemon refused without saying which request: all that wait are refused.
  void on_refused(const std::string& reason);
  /// Somebody else is short: returns all that is unused, and always answers.
  void on_reclaim();
  /// From now on, until take_over(), what is taken is the session's already: another worker has it, and nobody is asked.
  void begin_rebuild();
  /// The session is this worker's, with what the daemon has granted it.
  void take_over(uint64_t granted);
  /// Another daemon asks what is held: says it, and asks again for what waits.
  void on_rejoin();

  uint64_t granted() const;
  uint64_t used() const;

 private:
  struct Request {
    uint64_t bytes = 0, slack = 0;
    bool answered = false;
    std::string reason;
  };
  uint64_t slack_for(uint64_t bytes) const;
  void trim();
  void publish();

  Daemon& daemon_;
  model::Counters* counters_;
  const uint64_t slack_;
  const uint64_t patience_ms_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t granted_ = 0, used_ = 0, next_request_ = 0;
  bool rebuilds_ = false;
  std::map<uint64_t, Request*> waiting_;
};

}  // namespace amalgam::core
