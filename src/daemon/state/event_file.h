// SPDX-License-Identifier: Apache-2.0
// EventFile: events on disk, one record behind the other, for the next daemon.
//
//   record: [magic][size][FNV-1a of what follows][event, as the codec writes it]
//
// Reading takes whatever is whole: a record that is cut, flipped or none at all is passed over, and the next one is sought
// by its magic. The file is written anew, with the events that are kept, when it has grown over event-file-bytes or was not
// whole; until then events are appended. Nothing is synced: they must survive us, not the machine.
//
// Why not the state file: what anybody can let grow lies beside what sessions are found again by, not in it.
//
// Threads: the loop's. Blocking: local file writes of a few hundred bytes; of one to two MiB when it is written anew.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "protocol/control/events.h"

namespace amalgam::daemon {

class EventFile {
 public:
  EventFile(std::filesystem::path path, uint64_t most_bytes) : path_(std::move(path)), most_bytes_(most_bytes) {}

  struct Read {
    std::vector<protocol::Event> events;  ///< numbers grow
    bool whole = true;                    ///< nothing was passed over
  };
  /// What is there. Nobody's fault if that is nothing.
  Read read() const;
  /// One more. An error has left the file as it was.
  Result<void> append(const protocol::Event& event);
  /// Whether it should be written anew.
  bool is_full() const { return bytes_ > most_bytes_; }
  /// In place of all that it has. An error has left the file as it was.
  Result<void> write(const std::vector<const protocol::Event*>& events);

 private:
  Result<void> open();

  std::filesystem::path path_;
  uint64_t most_bytes_;
  UniqueFd file_;
  uint64_t bytes_ = 0;
};

}  // namespace amalgam::daemon
