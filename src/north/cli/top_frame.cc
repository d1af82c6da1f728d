// SPDX-License-Identifier: Apache-2.0
#include "north/cli/top_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/units.h"
#include "north/cli/listing.h"
#include "north/cli/table.h"
#include "north/cli/text.h"

namespace amalgam::cli {
namespace {

constexpr size_t kNarrow = 120;  ///< below this many columns, rows lose what can be had from `ps`

/// A session's row before it is text: what it did in the interval.
struct Activity {
  const protocol::SessionEntry* entry = nullptr;
  double busy = 0;
  double commands_per_s = 0;
};

double ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Growth of a count; a daemon that came back may show less than before.
uint64_t growth(uint64_t now, uint64_t before) { return now > before ? now - before : 0; }

uint64_t interval_ns(const Snapshot& now, const Snapshot* before) {
  return before == nullptr ? 0 : growth(now.at_ns, before->at_ns);
}

double device_busy(const protocol::DeviceEntry& entry, const Snapshot& now, const Snapshot* before) {
  if (before == nullptr) return 0;
  auto same = [&](const auto& other) { return other.device.id == entry.device.id; };
  auto old = std::find_if(before->devices.begin(), before->devices.end(), same);
  if (old == before->devices.end()) return 0;
  return ratio(growth(entry.device_time_ns, old->device_time_ns), interval_ns(now, before));
}

Activity activity(const protocol::SessionEntry& entry, const Snapshot& now, const Snapshot* before) {
  uint64_t time = total_device_time(entry), commands = entry.commands, wall = entry.age_ms * 1'000'000;
  if (before != nullptr) {
    auto same = [&](const auto& other) { return other.session == entry.session && other.pid == entry.pid; };
    auto old = std::find_if(before->sessions.begin(), before->sessions.end(), same);
    if (old != before->sessions.end()) {
      time = growth(time, total_device_time(*old));
      commands = growth(commands, old->commands);
      wall = interval_ns(now, before);
    }
  }
  return {&entry, ratio(time, wall), ratio(commands * 1'000'000'000, wall)};
}

std::vector<Activity> sorted_activities(const Snapshot& now, const Snapshot* before, SortBy sort) {
  std::vector<Activity> out;
  for (const auto& entry : now.sessions) out.push_back(activity(entry, now, before));
  std::stable_sort(out.begin(), out.end(), [sort](const Activity& a, const Activity& b) {
    switch (sort) {
      case SortBy::kMemory: return a.entry->memory_now > b.entry->memory_now;
      case SortBy::kCommands: return a.commands_per_s > b.commands_per_s;
      case SortBy::kTime: break;
    }
    return a.busy != b.busy ? a.busy > b.busy : total_device_time(*a.entry) > total_device_time(*b.entry);
  });
  return out;
}

std::string percent(double fraction) { return fmt::format("{:.0f}%", std::min(fraction, 99.99) * 100); }

std::string meter(double fraction, size_t width, bool utf8) {
  return width == 0 ? "" : "[" + bar(fraction, width, utf8) + "]";
}

Table device_table(const Snapshot& now, const Snapshot* before, const FrameOptions& options, size_t rows) {
  bool narrow = options.size.columns != 0 && options.size.columns < kNarrow;
  size_t width = narrow ? 6 : std::clamp<size_t>(options.size.columns / 8, 8, 24);
  Table table({{"DEVICE"},
               {"NAME", false, true},
               {"BUSY"},
               {"", true},
               {"MEMORY"},
               {"HELD", true},
               {"OF", true},
               {"SESSIONS", true}});
  for (size_t i = 0; i < std::min(rows, now.devices.size()); ++i) {
    const auto& entry = now.devices[i];
    const bool well = model::is_well(entry.device.health);
    double busy = device_busy(entry, now, before);
    table.add({printable(entry.device.id),
               printable(well ? entry.device.name
                              : std::string(model::health_name(entry.device.health)) + ": " + entry.device.health_text),
               meter(busy, width, options.utf8), before == nullptr ? "-" : percent(busy),
               meter(ratio(entry.pool_held_bytes, entry.pool_bytes), width, options.utf8),
               format_bytes(entry.pool_held_bytes), format_bytes(entry.pool_bytes), std::to_string(entry.sessions)});
  }
  return table;
}

Table session_table(const std::vector<Activity>& activities, const FrameOptions& options, size_t rows) {
  bool narrow = options.size.columns != 0 && options.size.columns < kNarrow;
  size_t width = narrow ? 6 : std::clamp<size_t>(options.size.columns / 12, 8, 16);
  std::vector<Column> columns = {{"PID", true}, {"PROGRAM", false, true}, {"BUSY"},
                                 {"", true},    {"SHARE", true},          {"CAP", true},
                                 {"PRIO"},      {"MEMORY", true},         {"COMMANDS/s", true}};
  if (!narrow) {
    std::vector<Column> more = {{"QUOTA"},
                                {"QUEUE", true},
                                {"TIME", true},
                                {"PEAK", true},
                                {"USER", false, true},
                                {"SLICE", false, true},
                                {"DEVICES", false, true}};
    columns.insert(columns.end(), more.begin(), more.end());
  }
  Table table(columns);
  for (size_t i = 0; i < std::min(rows, activities.size()); ++i) {
    const auto& entry = *activities[i].entry;
    std::string quota = entry.quota_bytes == 0 ? "-"
                                               : meter(ratio(entry.memory_now, entry.quota_bytes), width / 2, options.utf8) +
                                                     " " + format_bytes(entry.quota_bytes);
    std::vector<std::string> cells = {std::to_string(entry.pid),
                                      printable(entry.program),
                                      meter(activities[i].busy, width, options.utf8),
                                      percent(activities[i].busy),
                                      entry.terms.share_ppm == 0 ? "-" : share_text(entry),
                                      entry.terms.cap_ppm == 0 ? "-" : cap_text(entry),
                                      std::string(model::priority_name(entry.terms.priority)),
                                      format_bytes(entry.memory_now),
                                      format_count(static_cast<uint64_t>(activities[i].commands_per_s))};
    if (!narrow) {
      std::vector<std::string> more = {quota,
                                       std::to_string(entry.in_flight),
                                       format_duration(total_device_time(entry)),
                                       format_bytes(entry.memory_peak),
                                       printable(user_name(entry.uid)),
                                       printable(entry.slice_name),
                                       device_list(entry.devices)};
      cells.insert(cells.end(), more.begin(), more.end());
    }
    table.add(std::move(cells));
  }
  return table;
}

const char* sort_name(SortBy sort) {
  switch (sort) {
    case SortBy::kTime: return "time";
    case SortBy::kMemory: return "memory";
    case SortBy::kCommands: return "commands";
  }
  return "";
}

void add_table(std::vector<FrameLine>& out, const Table& table, size_t columns, size_t hidden) {
  Tone tone = Tone::kHead;
  for (std::string& line : table.lines(columns)) {
    out.push_back({std::move(line), tone});
    tone = Tone::kPlain;
  }
  if (hidden != 0) out.push_back({fmt::format("  and {} more", hidden), Tone::kPlain});
}

}  // namespace

std::vector<FrameLine> top_frame(const Snapshot& now, const Snapshot* before, const FrameOptions& options) {
  size_t rows = options.size.rows == 0 ? SIZE_MAX / 2 : options.size.rows;
  std::vector<FrameLine> out;
  out.push_back({fmt::format("amalgam  {} device{}, {} session{}, by {}   q quit  t time  m memory  c commands",
                             now.devices.size(), now.devices.size() == 1 ? "" : "s", now.sessions.size(),
                             now.sessions.size() == 1 ? "" : "s", sort_name(options.sort)),
                 Tone::kTitle});
  out.push_back({printable(options.notice), Tone::kNotice});
  // The devices get a third of the screen if there are sessions to show as well; two titles, a gap and two "more" lines are
  // fixed.
  size_t room = rows > 7 ? rows - 7 : 1;
  size_t devices = std::min(now.devices.size(), std::max<size_t>(1, room / 3));
  size_t sessions = std::min(now.sessions.size(), room > devices ? room - devices : 1);
  add_table(out, device_table(now, before, options, devices), options.size.columns, now.devices.size() - devices);
  out.push_back({});
  auto activities = sorted_activities(now, before, options.sort);
  add_table(out, session_table(activities, options, sessions), options.size.columns, now.sessions.size() - sessions);
  if (out.size() > rows) out.resize(rows);
  for (FrameLine& line : out)
    if (options.size.columns != 0) line.text = clip(line.text, options.size.columns);
  return out;
}

}  // namespace amalgam::cli
