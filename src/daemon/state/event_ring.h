// SPDX-License-Identifier: Apache-2.0
// EventRing: the last events, a bounded number of them.
//
// Where there is no room the oldest goes of whom most of them are about: a user, or all devices together. So nobody can make
// the daemon forget what happened to others by letting much happen to himself.
//
// Threads: the loop's. Nothing blocks.
#pragma once

#include <cstddef>
#include <map>

#include "protocol/control/events.h"

namespace amalgam::daemon {

class EventRing {
 public:
  explicit EventRing(size_t most) : most_(most) {}

  /// Numbers only grow.
  void add(protocol::Event event);
  /// The first with a number above this one, and those behind it.
  auto after(uint64_t number) const { return events_.upper_bound(number); }
  auto end() const { return events_.end(); }
  const std::map<uint64_t, protocol::Event>& all() const { return events_; }
  /// Number of the newest that there ever was; 0: none.
  uint64_t last() const { return last_; }

 private:
  void make_room();

  size_t most_;
  uint64_t last_ = 0;
  std::map<uint64_t, protocol::Event> events_;  ///< by number
  std::map<uint32_t, size_t> counts_;           ///< by whom they are about
};

}  // namespace amalgam::daemon
