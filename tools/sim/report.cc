// SPDX-License-Identifier: Apache-2.0
#include "tools/sim/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/limits.h"
#include "base/units.h"
#include "north/cli/table.h"
#include "north/cli/text.h"

namespace amalgam::simtool {

Result<std::string> read_trace(const std::string& path) {
  std::error_code error;
  uint64_t bytes = std::filesystem::file_size(path, error);
  if (error) return fail(system_error("open " + path, error.value()));
  if (bytes > kTraceBytes)
    return fail(Code::kLimit, path + " has " + format_bytes(bytes) + ": a trace has at most " + format_bytes(kTraceBytes) +
                                  " (trace-bytes of `amalgam limits`)");
  std::string text(bytes, '\0');
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(system_error("open " + path, errno));
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

Result<std::vector<std::string>> policy_names(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    size_t end = std::min(list.find(','), list.size());
    std::string name(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (name.empty()) continue;
    if (std::ranges::find(names, name) != names.end())
      return fail(Code::kInvalidArgument, "policy " + name + " is named twice");
    names.push_back(std::move(name));
  }
  if (names.empty()) return fail(Code::kInvalidArgument, "name a policy, for example --policy fair,priority");
  return names;
}

Result<std::vector<core::ReplayReport>> compare(const core::Trace& trace, const std::vector<std::string>& policies,
                                                const core::VirtualDevice::Options& options) {
  std::vector<core::ReplayReport> reports;
  for (const std::string& policy : policies) {
    auto report = core::replay(trace, policy, options);
    if (!report) return fail(std::move(report.error()).within(policy));
    reports.push_back(std::move(*report));
  }
  return reports;
}

std::vector<std::string> compare_lines(const std::vector<core::ReplayReport>& reports, size_t width) {
  std::vector<std::string> lines;
  for (const core::ReplayReport& report : reports)
    lines.push_back(fmt::format("{}: all done after {}, the device busy for {:.1f}% of it, {} decisions", report.policy,
                                format_duration(report.end_ns), 100 * report.busy, report.decisions));
  lines.emplace_back();
  cli::Table table({{"SLICE", false, true},
                    {"POLICY"},
                    {"SHARE", true},
                    {"GOT", true},
                    {"LAUNCHES", true},
                    {"WAIT P50", true},
                    {"WAIT P99", true},
                    {"LONGEST", true},
                    {"LATENCY P99", true},
                    {"THROTTLED", true},
                    {"PREEMPTED", true}});
  auto percent = [](double part) { return fmt::format("{:.1f}%", 100 * part); };
  for (size_t slice = 0; !reports.empty() && slice < reports[0].rows.size(); ++slice) {
    for (const core::ReplayReport& report : reports) {
      const core::ReplayRow& row = report.rows[slice];
      table.add({cli::printable(row.name), report.policy, row.asked == 0 ? "none" : percent(row.asked), percent(row.got),
                 format_count(row.completed), format_duration(row.wait_p50_ns), format_duration(row.wait_p99_ns),
                 format_duration(row.wait_most_ns), format_duration(row.latency_p99_ns), format_duration(row.throttled_ns),
                 format_count(row.preemptions)});
    }
  }
  for (std::string& line : table.lines(width)) lines.push_back(std::move(line));
  return lines;
}

nlohmann::json compare_json(const std::vector<core::ReplayReport>& reports) {
  nlohmann::json all = nlohmann::json::array();
  for (const core::ReplayReport& report : reports) {
    nlohmann::json rows = nlohmann::json::array();
    for (const core::ReplayRow& row : report.rows) {
      rows.push_back({{"slice", row.name},
                      {"launches", row.launches},
                      {"completed", row.completed},
                      {"share_percent", 100 * row.asked},
                      {"got_percent", 100 * row.got},
                      {"wait_p50_ns", row.wait_p50_ns},
                      {"wait_p99_ns", row.wait_p99_ns},
                      {"wait_most_ns", row.wait_most_ns},
                      {"latency_p99_ns", row.latency_p99_ns},
                      {"throttled_ns", row.throttled_ns},
                      {"preemptions", row.preemptions}});
    }
    all.push_back({{"policy", report.policy},
                   {"end_ns", report.end_ns},
                   {"busy_percent", 100 * report.busy},
                   {"decisions", report.decisions},
                   {"slices", std::move(rows)}});
  }
  return all;
}

}  // namespace amalgam::simtool
