// SPDX-License-Identifier: Apache-2.0
// Log: what the daemon says, to standard error or to a file that does not grow without end.
//
//   loop, real-time thread, … ─ logger() ─▶ LogLimit ─▶ queue, kLogQueueBytes ─▶ a thread ─▶ standard error | file, file.1
//                                             └ counted        └ full: counted
//
// Whoever logs never waits for whoever reads: a pipe that nobody empties or a disk that hangs stops the writing thread and
// nobody else. What did not fit into the queue is counted and told of when there is room. A file is followed by the next one
// at kLogFileBytes, and of kLogFiles files the oldest is removed. Whoever moves it away (logrotate) asks for reopen().
//
// Threads: logger() from any. Blocking: a lock that is held for some instructions; flush() and the end as they say. It has
// a thread: who forks without exec may use no memory from then on (guardian_process.h).
#pragma once

#include <spdlog/common.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "daemon/host/logger.h"

namespace amalgam::daemon {

class Log {
 public:
  /// `file` empty: standard error. The error says why the file cannot be written.
  static Result<std::unique_ptr<Log>> start(const std::filesystem::path& file);
  /// `again` opens the target anew, for reopen(); empty: there is nothing to open. It throws spdlog_ex.
  explicit Log(spdlog::sink_ptr target, std::function<spdlog::sink_ptr()> again = {});
  /// end().
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  Logger& logger() { return *logger_; }
  /// From the lines that come next on, writes into the file that has its name now. Where it cannot be opened the log goes on
  /// where it is, and says so. Does not wait.
  void reopen();
  /// Waits until all that was logged so far is written. False: not within that time.
  bool flush(uint64_t patience_ms);
  /// Waits for what is left, at most kLogFlushMs. False: it cannot be written, and the thread may hold the lock of standard
  /// error for good, for which exit() would wait. Nothing is written afterwards.
  bool end();
  /// Should an invariant of ours break, the process ends a moment later, when the log is written. Once in a process.
  void outlive_traps();

 private:
  struct Queue;
  class Entrance;
  std::shared_ptr<Queue> queue_;  ///< the thread's too: it may be stuck when we end
  std::unique_ptr<Logger> logger_;
};

}  // namespace amalgam::daemon
