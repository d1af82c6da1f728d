// SPDX-License-Identifier: Apache-2.0
// SessionRegistry: the life of every session, from the request to the last byte given back.
//
//   open ─▶ starting ── a worker is there ─▶ adopting ── SessionReady ─▶ live ─┬─ client ends ─▶ worker ends ─▶ gone
//                                                                             └─ worker ends ───────────────▶ gone
//   (daemon returns) ─┬─ the guardian kept it ─▶ rejoining ── Held ─▶ live
//                     └─ nobody did ───────────▶ ungoverned, until its worker ends
//
// The daemon's ends of a session (memories, eventfds, its side of the worker's socket) are its own, or the guardian's: a
// worker shows nothing that is believed.
//
// A worker that says more than any user may ask is not refused: what it says waits in its socket, and that holds it up.
//
// A session is gone when its worker's process is: only then can none of its memory be in use. A worker must end with its
// client; one that has not kOrphanMs later is killed with all its helpers.
//
// Threads: the loop's. Nothing blocks. Lifetime: outlives the callbacks that it gives to the loop.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/limits.h"
#include "daemon/host/allowance.h"
#include "daemon/host/guardian.h"
#include "daemon/sessions/session_memory.h"
#include "daemon/sessions/worker_errors.h"
#include "daemon/sessions/worker_pool.h"
#include "daemon/slices/slice_registry.h"
#include "daemon/state/common.h"
#include "protocol/control/events.h"

namespace amalgam::daemon {

struct SessionRecord {
  enum class State : uint8_t { kStarting, kAdopting, kLive, kRejoining, kUngoverned, kRecovering };
  uint64_t id = 0, slice = 0;
  State state = State::kStarting;
  bool client_gone = false;                                 ///< why its worker ends
  bool is_moving = false;                                   ///< to another worker (mover.h)
  bool told_to_stay = false;                                ///< its worker does not see its client's end any more
  uint32_t recoveries = 0;                                  ///< workers that it has outlived
  Allowance deaths_allowed{kDeathsPerSecond, kDeathBurst};  ///< whatever its workers say of themselves
  uint32_t deaths = 0;                                      ///< of its workers since one has come to a point
  uint64_t points = 0;                                      ///< of its worker's when it was lost
  uid_t uid = 0;
  std::string program;
  Process client;
  Worker worker;
  Allowance heard{kRequestsPerSecond, kRequestBurst};  ///< messages of its worker
  SessionEnds ends;
  std::unique_ptr<WorkerErrors> errors;
  std::vector<std::string> devices;
  uint64_t opened_unix_ms = 0;
  uint64_t stored_granted = 0;             ///< what the state file says
  uint64_t heap_bytes = 0;                 ///< of address space
  uint64_t staging_bytes = kStagingBytes;  ///< at most
  std::string end_reason;                  ///< why it was ended, or ended by itself; empty: its program has ended
  protocol::EventKind end_kind = protocol::EventKind::kNone;  ///< what of that is an event
  int end_signal = 0;                                         ///< by which its worker has ended

  /// The first reason is the one; whatever happens to a session whose client has gone is only the end of that.
  void blame(const std::string& why, protocol::EventKind kind) {
    if (!end_reason.empty() || client_gone) return;
    end_reason = why;
    end_kind = kind;
  }
};

/// What the answer to OpenSession is made of.
struct Opened {
  protocol::SessionOpened message;
  UniqueFd client_end, grants;
  int ring = -1, heap = -1, knock = -1;  ///< the session's own
};

class SessionRegistry {
 public:
  using Answer = std::function<void(Result<Opened>)>;
  struct Client {
    uid_t uid = 0;
    Process process;
  };
  /// Who wants to know.
  struct Listener {
    /// Its worker serves commands from now on, as far as anybody can know. An error ends it.
    std::function<Result<void>(SessionRecord&)> live;
    std::function<void(SessionRecord&, const protocol::Packet&)> message;  ///< from a live session's worker
    std::function<void(const SessionRecord&)> leaving;                     ///< its client has gone, its worker is to follow
    std::function<void(SessionRecord&)> worker_gone;                       ///< before its number is free again
    std::function<void(SessionRecord&, const std::string& how)> lost;      ///< it has no worker, and can have another one
    std::function<void(const SessionRecord&)> ended;                       ///< its numbers are still there
    std::function<void()> returned;                                        ///< a rejoining session is live again, or gone
  };
  SessionRegistry(Common& common, SliceRegistry& slices, WorkerPool& pool, Guardian& guardian, uint64_t& next_id);
  ~SessionRegistry();
  SessionRegistry(const SessionRegistry&) = delete;
  SessionRegistry& operator=(const SessionRegistry&) = delete;
  Listener listener;

  /// Answers once, when the worker is ready or has refused.
  void open(Client client, const protocol::OpenSession& request, Answer answer);
  /// A session of an earlier daemon. `kept`: what the guardian kept of it, null: nothing. kNotFound: its worker is gone.
  Result<void> restore(const SessionRow& row, const Launcher& launcher, Guardian::Kept* kept);
  size_t rejoining() const;
  /// No more waiting: who has not answered holds what the state file says until it does.
  void stop_waiting();
  /// Another guardian knows nothing yet.
  void keep_all();

  /// Kills the worker with its helpers; the session is gone when they are.
  void kill(SessionRecord& session, const std::string& why, protocol::EventKind kind = protocol::EventKind::kEnded);
  /// The slice may hold so many bytes from now on; 0: whatever there is. Its sessions' heaps grow with it.
  Result<void> set_quota(uint64_t slice, uint64_t quota);
  /// Asks every worker to end; those that do not are killed.
  void end_all(uint64_t ask_ms, uint64_t kill_ms);

  enum class Start : uint8_t { kFresh, kBesideAnother, kAfterADeadOne };
  /// Gives the session to a worker, on these devices.
  Result<void> send_adopt(const SessionRecord& session, const Worker& worker, const std::vector<std::string>& devices,
                          Start how);

  /// From now on this worker serves the session, on these devices; the one that did is ended. An error ends the session.
  Result<void> replace_worker(SessionRecord& session, Worker worker, std::unique_ptr<WorkerErrors> errors,
                              std::vector<std::string> devices);

  /// A lost session got no other worker: it is lost once more, or ends. kLimit, kUnsupported: no other would do.
  void not_recovered(SessionRecord& session, const Error& why);

  SessionRecord* find(uint64_t id);
  const std::map<uint64_t, std::unique_ptr<SessionRecord>>& all() const { return sessions_; }
  uint64_t opened_total() const { return opened_total_; }

 private:
  struct Opening {
    Answer answer;
    EventLoop::TimerId timer = 0;
    UniqueFd client_end;
  };
  Result<void> check_limits(uid_t uid) const;
  uint64_t largest_pool(const std::vector<std::string>& devices) const;
  void adopt(uint64_t id, Result<Worker> worker);
  Result<void> connect(SessionRecord& session, Opening& opening);
  void on_packet(SessionRecord& session, const protocol::Packet& packet);
  void on_ready(SessionRecord& session, const protocol::Packet& packet);
  void on_held(SessionRecord& session, const protocol::Packet& packet);
  void keep(const SessionRecord& session);
  void on_channel(uint64_t id);
  void on_client_end(uint64_t id);
  void on_hang_up(SessionRecord& session);
  void on_worker_end(uint64_t id);
  bool can_recover(SessionRecord& session) const;
  void lose_worker(SessionRecord& session);
  void refuse(uint64_t id, Error error);
  void watch_client(SessionRecord& session);
  Result<void> watch_worker(SessionRecord& session);
  void watch_channel(SessionRecord& session);
  void rest(SessionRecord& session);
  void remove(uint64_t id);
  Result<void> save(const SessionRecord& session) const;

  Common& common_;
  SliceRegistry& slices_;
  WorkerPool& pool_;
  Guardian& guardian_;
  uint64_t& next_id_;
  std::map<uint64_t, std::unique_ptr<SessionRecord>> sessions_;
  std::map<uint64_t, Opening> openings_;
  uint64_t opened_total_ = 0;
};

/// Milliseconds since 1970.
uint64_t unix_ms();

}  // namespace amalgam::daemon
