// SPDX-License-Identifier: Apache-2.0
// WorkerWatch: looks now and then at every worker from outside, once for all who want to know.
//
// What a worker holds or has started changes only while it or a helper of its runs. So one reading of its clock says whether
// it is worth a closer look; those that are share one walk over the machine's processes, which finds their helpers by their
// groups, which they cannot leave. Every kWorkerLookMs while anybody runs, every kWorkerRestMs while nobody does.
//
// Threads: the loop's. Nothing blocks but the kernel's files.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "daemon/sessions/session_registry.h"

namespace amalgam::daemon {

class WorkerWatch {
 public:
  /// `members`: the processes of the worker's group, itself included; null: it has not run since the last look.
  using Looked = std::function<void(SessionRecord&, const std::vector<pid_t>* members)>;
  WorkerWatch(EventLoop& loop, SessionRegistry& sessions, Looked looked)
      : loop_(loop), sessions_(sessions), looked_(std::move(looked)) {}
  ~WorkerWatch() { loop_.cancel(timer_); }
  WorkerWatch(const WorkerWatch&) = delete;
  WorkerWatch& operator=(const WorkerWatch&) = delete;

  void begin(uint64_t session);
  void end(uint64_t session) { workers_.erase(session); }

 private:
  struct Worker {
    uint64_t time_ns = 0;  ///< of the processor at the last look
    bool helpers = false;
  };
  void arm(uint64_t ms);
  void look();
  static bool has_run(const SessionRecord& session, Worker& worker);

  EventLoop& loop_;
  SessionRegistry& sessions_;
  Looked looked_;
  std::map<uint64_t, Worker> workers_;  ///< by session
  EventLoop::TimerId timer_ = 0;
};

}  // namespace amalgam::daemon
