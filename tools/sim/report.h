// SPDX-License-Identifier: Apache-2.0
// Report: a trace replayed under several policies, and the comparison as a table or as JSON.
//
// JSON's keys are an interface: added to, never renamed.
//
// Threads: pure functions but for read_trace. Blocking: until the replays are done, at most kReplayPatience times their work
// in virtual time.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/sched/replay.h"

namespace amalgam::simtool {

/// This path means what is piped into the program.
inline constexpr std::string_view kStandardInput = "-";
/// The path, or what it means.
std::string trace_name(const std::string& path);

/// The text of a trace: a file, a pipe or standard input. kLimit: over kTraceBytes.
Result<std::string> read_trace(const std::string& path);

/// "fair,priority" → each; kInvalidArgument if there is none or one twice, kNotFound if there is no such policy.
Result<std::vector<std::string>> policy_names(std::string_view list);

/// Each policy over the whole trace. Errors as of core::replay.
Result<std::vector<core::ReplayReport>> compare(const core::Trace& trace, const std::vector<std::string>& policies,
                                                const core::VirtualDevice::Options& options);

/// One line a policy, then one row for each slice and policy, the rows of a slice together.
std::vector<std::string> compare_lines(const std::vector<core::ReplayReport>& reports, size_t width);
nlohmann::json compare_json(const std::vector<core::ReplayReport>& reports);

}  // namespace amalgam::simtool
