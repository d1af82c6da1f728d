// SPDX-License-Identifier: Apache-2.0
#include "tools/sim/report.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "core/sched/policy.h"
#include "north/cli/table.h"
#include "north/cli/text.h"

namespace amalgam::simtool {

namespace {

constexpr size_t kPartBytes = 1 << 20;

/// Opened, and the name to show. A folder opens like a file, and says what it is when it is read.
Result<UniqueFd> open_trace(const std::string& path) {
  UniqueFd file(path == kStandardInput ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                       : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(system_error("open " + trace_name(path), errno));
  return file;
}

}  // namespace

std::string trace_name(const std::string& path) { return path == kStandardInput ? "standard input" : path; }

Result<std::string> read_trace(const std::string& path) {
  auto file = open_trace(path);
  if (!file) return fail(std::move(file.error()));
  std::string text;
  for (size_t got = 0;;) {
    text.resize(got + kPartBytes);
    ssize_t more = ::read(file->get(), text.data() + got, kPartBytes);
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return fail(system_error("read " + trace_name(path), errno));
    got += static_cast<size_t>(more);
    text.resize(got);
    if (more == 0) return text;
    if (got > kTraceBytes)
      return fail(Code::kLimit, trace_name(path) + ": a trace has at most " + format_bytes(kTraceBytes) +
                                    " (trace-bytes of `amalgam limits`)");
  }
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
    if (auto known = core::find_policy(name); !known) return std::unexpected(std::move(known.error()));
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
