// SPDX-License-Identifier: Apache-2.0
// WorkerPool: workers that have started and said hello, waiting to be given a session, so that a session opens in
// milliseconds.
//
//   start ─▶ WorkerHello ─▶ warm ─▶ take() ─▶ the caller's; another one is started
//
// A warm worker waits in one system call and uses no processor. Workers are made for one user and never given to another.
// One that dies while it is warm is not replaced before the next take(), so that a worker which cannot start is not started
// over and over.
//
// Threads: the loop's. Lifetime: callbacks are not called after destruction; workers not taken end with the pool.
#pragma once

#include <deque>
#include <functional>
#include <list>

#include "daemon/host/event_loop.h"
#include "daemon/host/launcher.h"
#include "daemon/host/logger.h"

namespace amalgam::daemon {

struct Worker {
  Process process;
  protocol::Channel channel;
  Cgroup::Member group;
  UniqueFd errors;  ///< its standard error; empty for one of an earlier daemon
};

/// Kills it with all its helpers. They are gone when its process is.
void put_an_end(const Worker& worker);

class WorkerPool {
 public:
  using Taken = std::function<void(Result<Worker>)>;
  WorkerPool(EventLoop& loop, Logger& log, Launcher& launcher, uint64_t warm);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Gives a worker for this user, now or when one has started; then keeps `warm` ones ready for the same user.
  void take(uid_t uid, Taken taken);
  /// Starts what is missing to have `warm` ones.
  void keep_warm(uid_t uid);
  void set_warm(uint64_t warm) { warm_ = warm; }
  /// Ends the warm ones, after their environment has changed.
  void discard();
  /// Ends one that was taken, and sees to it that nothing is left of it.
  void retire(Worker worker);
  /// Ends all that nobody has taken; who waits is refused.
  void drain();
  /// Processes that are starting or warm.
  std::vector<pid_t> pids() const;

 private:
  struct Spare {
    uid_t uid;
    Worker worker;
    bool ready = false;
    EventLoop::TimerId timer = 0;
  };
  using Place = std::list<Spare>::iterator;
  struct Waiter {
    uid_t uid;
    Taken taken;
  };
  size_t count(uid_t uid) const;
  size_t waiting(uid_t uid) const;
  Result<void> start(uid_t uid);
  void on_channel(Place spare);
  void on_end(Place spare);
  Worker extract(Place spare);
  void refuse(uid_t uid, const std::string& why);
  void make_room(uid_t uid);
  void end(Place spare);

  EventLoop& loop_;
  Logger& log_;
  Launcher& launcher_;
  uint64_t warm_;
  std::list<Spare> spares_;
  std::deque<Waiter> waiters_;
};

}  // namespace amalgam::daemon
