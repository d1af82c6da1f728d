// SPDX-License-Identifier: Apache-2.0
// EventLog: what happened to devices and sessions, and why: said by the parts of the daemon, asked for by people, kept for
// the next daemon.
//
// What cannot be written is said once in the log, and is known to this daemon all the same.
//
// Threads: the loop's. Blocking: as EventFile.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <string>

#include "daemon/host/logger.h"
#include "daemon/state/event_file.h"
#include "daemon/state/event_ring.h"

namespace amalgam::daemon {

class EventLog {
 public:
  /// With what an earlier daemon has left in the file, as far as it is whole.
  EventLog(Logger& log, std::filesystem::path file);
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  /// It has happened now. Number and time are filled in; a long text is cut.
  void add(protocol::Event event);
  const EventRing& ring() const { return ring_; }
  /// How many of a kind this daemon has added.
  uint64_t count(protocol::EventKind kind) const { return counts_[static_cast<size_t>(kind)]; }
  /// Called after each one.
  std::function<void()> on_added;

 private:
  void keep(const protocol::Event& event);
  Result<void> write_anew();

  Logger& log_;
  EventFile file_;
  EventRing ring_;
  std::array<uint64_t, static_cast<size_t>(protocol::kLastEventKind) + 1> counts_{};
  bool complained_ = false;
};

}  // namespace amalgam::daemon
