// SPDX-License-Identifier: Apache-2.0
// EndedSessions: what can still be said of a session when it has gone: whose it was, why it ended, where its time went.
//
// A bounded number is kept. Where there is no room the oldest goes of the user who has most, so that nobody can make the
// daemon forget another one's. Nothing of it outlives the daemon.
//
// Threads: the loop's. Nothing blocks.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/turns/arbitration.h"
#include "model/terms.h"

namespace amalgam::daemon {

struct EndedSession {
  struct Device {
    std::string id;
    bool governed = false;
    Arbitration::Account account;  ///< if it was governed; its last kEndedDecisions decisions
  };
  uint64_t session = 0, slice = 0;
  uid_t owner = 0;  ///< of its slice
  std::string program, slice_name;
  model::Terms terms;
  std::vector<Device> devices;
  uint64_t at_ms = 0;  ///< of the monotonic clock
  std::string reason;  ///< empty: its program has ended
};

class EndedSessions {
 public:
  explicit EndedSessions(size_t most) : most_(most) {}
  void add(EndedSession session);
  const EndedSession* find(uint64_t session) const;
  size_t size() const { return sessions_.size(); }

 private:
  void make_room();

  size_t most_;
  std::map<uint64_t, EndedSession> sessions_;  ///< numbers only grow
};

}  // namespace amalgam::daemon
