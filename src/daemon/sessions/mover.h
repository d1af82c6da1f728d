// SPDX-License-Identifier: Apache-2.0
// Mover: moves sessions to other workers, on another device or on the same one, while their programs run.
//
//   preparing ── SessionReady ─▶ leaving ── HandedOver ─▶ arriving ── TookOver ─▶ Serve, the old worker is ended
//       └────────────┴───────────────┴── refused, too late, ended ─▶ Stay, the new worker is ended
//
// The messages: protocol/control/move.h. Until the last step the old worker can go on, and the guardian knows of it alone;
// from then on of the new one alone. Whoever of the two is left without a daemon and without a guardian ends.
//
// What the new worker says is its tenant's word, as what the old one says: it can end the session, and no other.
//
// Threads: the loop's. Nothing blocks. Lifetime: outlives the callbacks that it gives to the loop.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "daemon/sessions/session_registry.h"
#include "protocol/control/move.h"

namespace amalgam::daemon {

class Mover {
 public:
  using Answer = std::function<void(Result<protocol::SessionMoved>)>;
  Mover(Common& common, SliceRegistry& slices, SessionRegistry& sessions, WorkerPool& pool)
      : common_(common), slices_(slices), sessions_(sessions), pool_(pool) {}
  ~Mover();
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;

  /// Answers once: when the session is there, or why it is where it was.
  void start(uid_t asker, const protocol::MoveSession& request, Answer answer);
  /// A reliable session has lost its worker: another one goes on, on the same devices if they are well.
  void recover(SessionRecord& session, const std::string& how);
  /// The same for who takes a device out of use, whosesoever the session is.
  void start_for_drain(const protocol::MoveSession& request, Answer answer);
  /// Who asks for a session of which this is true is refused: else its user could keep it under way for ever.
  std::function<bool(const SessionRecord&)> is_being_drained;
  /// A message of a session's worker. False: it is for somebody else.
  bool on_message(SessionRecord& session, const protocol::Packet& packet);
  /// Its worker has ended, or it ends.
  void session_ended(uint64_t session);
  bool moves(uint64_t session) const { return moves_.contains(session); }

 private:
  enum class Step : uint8_t { kStarting, kPreparing, kLeaving, kArriving };
  struct Move {
    Step step = Step::kStarting;
    Answer answer;
    protocol::SessionMoved told;
    std::vector<std::string> devices;
    bool dry_run = false;
    bool recovers = false;
    std::string lost;  ///< then: how its worker ended
    Worker worker;
    std::unique_ptr<WorkerErrors> errors;
    EventLoop::TimerId timer = 0;
    uint64_t since_us = 0;
    uint32_t heard = 0;  ///< packets of the new worker
  };
  Result<void> check_asker(uid_t asker, const SessionRecord& session) const;
  Result<Move> plan(const protocol::MoveSession& request) const;
  void begin(const protocol::MoveSession& request, Answer answer);
  void adopt(uint64_t session, Result<Worker> worker);
  Result<void> watch(uint64_t session, const Worker& worker);
  void unwatch(const Worker& worker);
  void on_channel(uint64_t session);
  Result<void> on_packet(SessionRecord& session, Move& move, const protocol::Packet& packet);
  Result<void> on_prepared(SessionRecord& session, Move& move, const protocol::Packet& packet);
  Result<void> on_handed_over(SessionRecord& session, Move& move, const protocol::Packet& packet);
  Result<void> on_took_over(SessionRecord& session, Move& move, const protocol::Packet& packet);
  Result<void> arrive(SessionRecord& session, Move& move);
  Result<void> grant_missing(uint64_t session, uint64_t used_bytes);
  std::vector<std::string> places_for(const SessionRecord& session) const;
  Result<void> commit(SessionRecord& session, Move& move);
  void report(const SessionRecord& session, const Move& move);
  void wait(uint64_t session, Move& move, uint64_t ms, const char* what);
  void end(uint64_t session, Result<void> how);

  Common& common_;
  SliceRegistry& slices_;
  SessionRegistry& sessions_;
  WorkerPool& pool_;
  std::map<uint64_t, Move> moves_;
};

}  // namespace amalgam::daemon
