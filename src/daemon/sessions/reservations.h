// SPDX-License-Identifier: Apache-2.0
// Reservations: carries the ledger's questions and answers between it and the workers.
//
//   Reserve ─▶ ledger ─ granted, refused ─▶ Granted
//                │ others hold bytes that they may not use
//                └─▶ Reclaim to each ─▶ Return from all, or kReclaimTimeoutMs ─▶ ledger again, for the last time ─▶ Granted
//
// While a daemon that has come back still waits for its workers, nothing is granted: what they hold is not yet known.
//
// Threads: the loop's. Nothing blocks.
#pragma once

#include <list>
#include <set>

#include "daemon/sessions/session_registry.h"

namespace amalgam::daemon {

class Reservations {
 public:
  Reservations(Common& common, SessionRegistry& sessions) : common_(common), sessions_(sessions) {}

  /// A message of a live session's worker; anything but Reserve and Return ends the session.
  void on_message(SessionRecord& session, const protocol::Packet& packet);
  void session_ended(uint64_t session);
  /// Holds all answers back until resume().
  void pause() { paused_ = true; }
  void resume();
  uint64_t refused_total() const { return refused_total_; }

 private:
  struct Pending {
    uint64_t session = 0;
    protocol::Reserve ask;
    std::set<uint64_t> awaited;  ///< sessions that have not answered Reclaim
    EventLoop::TimerId timer = 0;
  };
  using Place = std::list<Pending>::iterator;
  void reserve(SessionRecord& session, const protocol::Reserve& ask);
  void give_back(SessionRecord& session, const protocol::Return& give);
  void reclaim(SessionRecord& session, const protocol::Reserve& ask, const std::vector<uint64_t>& holders);
  void no_longer_awaited(uint64_t session);
  void conclude(Place pending);
  void answer(SessionRecord& session, const protocol::Reserve& ask, const core::Ledger::Answer& answer);
  void note(uint64_t session);
  void save();

  Common& common_;
  SessionRegistry& sessions_;
  std::list<Pending> pending_;
  bool paused_ = false;
  std::set<uint64_t> unsaved_;
  EventLoop::TimerId save_timer_ = 0;
  uint64_t refused_total_ = 0;
};

}  // namespace amalgam::daemon
