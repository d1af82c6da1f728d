// SPDX-License-Identifier: Apache-2.0
// Events as lines for people and as JSON.
//
//   2026-05-01 12:00:03  moved        opencl:1  session 7 (alice)  prog: from opencl:0, stood still for 12 ms
//
// Threads: pure functions, but for the time zone and the names of users.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "protocol/control/events.h"

namespace amalgam::cli {

/// Without a line end.
std::string event_line(const protocol::Event& event);
/// Raw numbers; session, slice and uid are null where it is about none.
nlohmann::json event_json(const protocol::Event& event);

}  // namespace amalgam::cli
