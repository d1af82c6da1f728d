// SPDX-License-Identifier: Apache-2.0
// ChildCensus: which workers have helper processes, and what those have run.
//
// A worker's own clock does not count what it has started. The driver may start a linker, so may a kernel, and what it
// starts computes as well as the worker does. A process must run to start another one; so only workers whose clock has
// moved, or that had helpers, are looked at, every kChildrenEveryMs while there are any and four times less often while
// nobody runs. What a helper ran between two looks and its end is not seen, which is why a worker with helpers counts as
// one that computes (contenders.h). They are found by the worker's group, which they cannot leave, in one walk over the
// machine's processes, however many threads or parents there are.
//
// Threads: the loop's. Nothing blocks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "daemon/host/event_loop.h"

namespace amalgam::daemon {

class ChildCensus {
 public:
  struct Listener {
    std::function<void(uint64_t session, uint64_t children, uint64_t ran_ns)> found;  ///< also when there are none any more
    std::function<void(uint64_t session)> too_many;
  };
  ChildCensus(EventLoop& loop, Listener listener) : loop_(loop), listener_(std::move(listener)) {}
  ~ChildCensus() { loop_.cancel(timer_); }
  ChildCensus(const ChildCensus&) = delete;
  ChildCensus& operator=(const ChildCensus&) = delete;

  void begin(uint64_t session, pid_t worker);
  void end(uint64_t session) { workers_.erase(session); }

 private:
  struct Worker {
    pid_t pid = 0;
    uint64_t own_ns = 0;
    std::map<pid_t, uint64_t> children;  ///< what each had run
  };
  void look();
  void count(uint64_t session, Worker& worker, const std::map<pid_t, std::vector<pid_t>>& members);

  EventLoop& loop_;
  Listener listener_;
  std::map<uint64_t, Worker> workers_;  ///< by session
  EventLoop::TimerId timer_ = 0;
};

}  // namespace amalgam::daemon
