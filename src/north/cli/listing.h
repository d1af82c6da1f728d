// SPDX-License-Identifier: Apache-2.0
// Listing: the pool's entries as table rows and as text of JSON; pure, so that `devices`, `ps` and `top` show the same.
//
// JSON holds raw numbers in the units that the names say. Its keys are an interface: added to, never renamed. It is made in
// the .cc file alone, since whoever includes its library compiles for seconds.
//
// Threads: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/control/control.h"
#include "protocol/control/move.h"

namespace amalgam::cli {

std::string_view kind_name(model::DeviceKind kind);
/// The login name, or the number if it has none.
std::string user_name(uint32_t uid);
uint64_t total_device_time(const protocol::SessionEntry& session);
/// "opencl:0,1": ids of one backend share its name.
std::string device_list(const std::vector<std::string>& ids);

/// "30%"; "none".
std::string share_text(const protocol::SessionEntry& entry);
std::string cap_text(const protocol::SessionEntry& entry);
std::string devices_json(const std::vector<protocol::DeviceEntry>& devices);
std::string sessions_json(const std::vector<protocol::SessionEntry>& sessions);
std::string status_json(const protocol::StatusReport& report);
std::string moved_json(uint64_t session, bool dry_run, const protocol::SessionMoved& moved);
/// Every named bound.
std::string limits_json();
/// The terms of the slice of these sessions, which is one, and their numbers: cap_percent and slo_p99_ms are null where
/// there is none. Without sessions there are no terms either.
std::string terms_json(const std::vector<protocol::SessionEntry>& sessions);
/// Text of a JSON value; broken UTF-8 from a driver or a program becomes the replacement character.
std::string json_text(const nlohmann::json& value);

/// What workers are confined by, and what is missing, if anything is.
std::vector<std::string> confinement_lines(const model::Confinement& confinement);
std::vector<std::string> device_lines(const std::vector<protocol::DeviceEntry>& devices, size_t width, bool utf8);
std::vector<std::string> session_lines(const std::vector<protocol::SessionEntry>& sessions, size_t width);

}  // namespace amalgam::cli
