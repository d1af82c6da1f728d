// SPDX-License-Identifier: Apache-2.0
// ChildCensus: which workers have helper processes, and what those have run.
//
// A worker's own clock does not count what it has started. The driver may start a linker, so may a kernel, and what it
// starts computes as well as the worker does. What a helper ran between two looks and its end is not seen, which is why a
// worker with helpers counts as one that computes (contenders.h).
//
// Threads: the caller's. Nothing blocks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace amalgam::daemon {

class ChildCensus {
 public:
  struct Listener {
    std::function<void(uint64_t session, uint64_t children, uint64_t ran_ns)> found;  ///< also when there are none any more
    std::function<void(uint64_t session)> too_many;
  };
  explicit ChildCensus(Listener listener) : listener_(std::move(listener)) {}

  /// `members`: of the worker's group, the worker included.
  void count(uint64_t session, pid_t worker, const std::vector<pid_t>& members);
  void end(uint64_t session) { children_.erase(session); }

 private:
  using Times = std::map<pid_t, uint64_t>;  ///< what each child had run

  Listener listener_;
  std::map<uint64_t, Times> children_;  ///< by session
};

}  // namespace amalgam::daemon
