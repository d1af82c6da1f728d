// SPDX-License-Identifier: Apache-2.0
// Explain text: an Explanation as lines for people and as JSON for programs.
//
//   ran + waited + throttled + idle = the time since the slice came to the device
//
// JSON's keys are an interface: added to, never renamed.
//
// Threads: pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "protocol/control/explain.h"

namespace amalgam::cli {

/// "training"; "training (4)" where several slices of the answer have that name; "slice 4" without one; "another slice";
/// "nobody" for 0. Fit to be printed.
std::string slice_label(const protocol::Explanation& answer, uint64_t slice);
/// "fair"; "rule 200" for a number that the answer does not name.
std::string rule_label(const protocol::Explanation& answer, uint8_t rule);

/// How long decision number `index` of the answer held: until the next one says that it stopped, or until now.
struct Held {
  uint64_t ns = 0;
  std::string_view ended;  ///< why it is over: "quantum", "idle" …; empty while it holds
  bool known = false;      ///< false: it is over, and nothing says since when
  bool now = false;        ///< it still holds
};
Held held(const protocol::Explanation& answer, size_t index);

/// When the session ended, and why; empty if it has not.
std::string end_line(const protocol::Explanation& answer);
/// One device of the session; the last decisions are all that the answer has.
std::vector<std::string> explain_lines(const protocol::Explanation& answer);
nlohmann::json explain_json(const protocol::Explanation& answer);

}  // namespace amalgam::cli
