// SPDX-License-Identifier: Apache-2.0
// LogLimit: so many lines of one kind a second, then only how many more there were.
//
//   session 7: a ended      said        ┐
//   session 8: b ended      said        ├ one kind: level and words up to the first number, name or reason
//   session 9: c ended      counted     ┘      … and 1 more like "session"
//
// Every line of the daemon passes here, not those alone of which somebody thought that others can provoke them: whoever
// fills the log of a machine fills its disk, or hides what he does behind it. Levels are told apart, so a flood of what is
// usual does not hide what is wrong.
//
// Threads: a plain value; the caller locks. Blocking: never. At most kLogKinds kinds are told apart; all others are one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/host/allowance.h"

namespace amalgam::daemon {

class LogLimit {
 public:
  /// Whether a line may be said now; if not, it is counted.
  bool pass(int level, std::string_view line, uint64_t now_ms);

  struct Held {
    std::string kind;
    int level = 0;
    uint64_t lines = 0;
  };
  /// What was counted and may be told of now.
  std::vector<Held> take_held(uint64_t now_ms);
  /// When the next of that may be told of; UINT64_MAX: there is none.
  uint64_t next_ms() const;

 private:
  struct Kind {
    Allowance allowance;
    uint64_t held = 0, tell_ms = 0;
  };
  Kind& find(int level, std::string_view line);
  std::map<std::pair<int, std::string>, Kind, std::less<>> kinds_;
};

}  // namespace amalgam::daemon
