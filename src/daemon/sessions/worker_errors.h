// SPDX-License-Identifier: Apache-2.0
// WorkerErrors: what a worker writes to its standard error, as lines of the daemon's log. A worker is its tenant: it has no
// descriptor of the log, it can say so much and no more, and every line says whose it is.
//
// Threads: the loop's. Blocking: never; a worker that writes faster than this reads loses what it writes.
#pragma once

#include <string>

#include "base/unique_fd.h"
#include "daemon/host/event_loop.h"
#include "daemon/host/logger.h"

namespace amalgam::daemon {

class WorkerErrors {
 public:
  WorkerErrors(EventLoop& loop, Logger& log, std::string name, UniqueFd pipe);
  ~WorkerErrors();
  WorkerErrors(const WorkerErrors&) = delete;
  WorkerErrors& operator=(const WorkerErrors&) = delete;

  /// Takes what is left.
  void read_all();

 private:
  void read_some();
  void say(std::string_view line);

  EventLoop& loop_;
  Logger& log_;
  const std::string name_;
  UniqueFd pipe_;
  std::string begun_;  ///< a line without its end
  uint64_t said_ = 0;
};

}  // namespace amalgam::daemon
