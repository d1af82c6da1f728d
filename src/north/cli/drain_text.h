// SPDX-License-Identifier: Apache-2.0
// DrainText: what is said of a drain while it goes on, and of its end.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "protocol/control/drain.h"

namespace amalgam::cli {

/// Gathers the reports of one drain: each says what has changed since the one before.
class DrainStory {
 public:
  /// Lines that say what is new.
  std::vector<std::string> take(const protocol::DrainReport& report);
  /// Nothing more is to come.
  bool is_over() const;
  /// Nobody had to stay who was not to.
  bool went_well(bool were_to_stay) const;
  /// What it has come to, and what is to be done about those that stay.
  std::vector<std::string> end_lines() const;
  std::string json() const;

 private:
  size_t count(protocol::DrainFate fate) const;

  protocol::DrainReport last_;
  std::map<uint64_t, protocol::DrainEntry> entries_;  ///< by session
  bool told_of_moving_ = false;
};

}  // namespace amalgam::cli
