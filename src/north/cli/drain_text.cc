// SPDX-License-Identifier: Apache-2.0
#include "north/cli/drain_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "north/cli/listing.h"
#include "north/cli/text.h"

namespace amalgam::cli {
namespace {

using protocol::DrainEntry;
using protocol::DrainFate;
using protocol::DrainStep;

std::string_view step_name(DrainStep step) {
  switch (step) {
    case DrainStep::kChecking: return "checking";
    case DrainStep::kMoving: return "moving";
    case DrainStep::kDone: return "done";
    case DrainStep::kRefused: return "refused";
    case DrainStep::kStopped: return "stopped";
  }
  return "unknown";
}

std::string_view fate_name(DrainFate fate) {
  switch (fate) {
    case DrainFate::kWaiting: return "waiting";
    case DrainFate::kFits: return "fits";
    case DrainFate::kCannot: return "cannot";
    case DrainFate::kMoved: return "moved";
    case DrainFate::kStays: return "stays";
    case DrainFate::kEnded: return "ended";
  }
  return "unknown";
}

std::string name_of(const DrainEntry& entry) {
  return printable(fmt::format("session {} ({}, {}, {})", entry.session, entry.program, user_name(entry.uid),
                               model::priority_name(entry.priority)));
}

/// Empty: there is nothing to say.
std::string line_of(const DrainEntry& entry) {
  switch (entry.fate) {
    case DrainFate::kWaiting: return "";
    case DrainFate::kFits: return name_of(entry) + " can go to " + printable(entry.to);
    case DrainFate::kCannot: return name_of(entry) + " cannot move: " + printable(entry.reason);
    case DrainFate::kMoved:
      return name_of(entry) + fmt::format(" has moved to {}, stood still for {:.1f} ms", printable(entry.to),
                                          static_cast<double>(entry.pause_us) / 1000);
    case DrainFate::kStays: return name_of(entry) + " stays: " + printable(entry.reason);
    case DrainFate::kEnded: return name_of(entry) + " has ended or left by itself";
  }
  return "";
}

std::string sessions(size_t count) { return fmt::format("{} session{}", count, count == 1 ? "" : "s"); }

}  // namespace

std::vector<std::string> DrainStory::take(const protocol::DrainReport& report) {
  std::vector<std::string> checked, moved;
  for (const DrainEntry& entry : report.entries) {
    entries_[entry.session] = entry;
    const bool is_check = entry.fate == DrainFate::kFits || entry.fate == DrainFate::kCannot;
    if (std::string line = line_of(entry); !line.empty()) (is_check ? checked : moved).push_back("  " + line);
  }
  const bool moves = report.step == DrainStep::kMoving || !moved.empty();
  std::vector<std::string> lines = std::move(checked);
  if (moves && !std::exchange(told_of_moving_, true))
    lines.push_back(printable(report.device) + ": nothing new opens there; its sessions move");
  lines.insert(lines.end(), moved.begin(), moved.end());
  last_ = report;
  last_.entries.clear();
  return lines;
}

bool DrainStory::is_over() const {
  return !last_.more && last_.step != DrainStep::kChecking && last_.step != DrainStep::kMoving;
}

size_t DrainStory::count(DrainFate fate) const {
  return static_cast<size_t>(
      std::ranges::count_if(entries_, [fate](const auto& entry) { return entry.second.fate == fate; }));
}

bool DrainStory::went_well(bool were_to_stay) const {
  return last_.step == DrainStep::kDone && (were_to_stay || count(DrainFate::kStays) == 0);
}

std::vector<std::string> DrainStory::end_lines() const {
  const std::string device = printable(last_.device);
  const size_t stay = count(DrainFate::kStays), moved = count(DrainFate::kMoved);
  switch (last_.step) {
    case DrainStep::kDone:
      if (stay == 0) return {fmt::format("{} is drained: {} moved", device, sessions(moved))};
      return {
          fmt::format("{} is draining: {} moved, {} stay", device, sessions(moved), stay),
          fmt::format("Nothing new opens there; it is drained when they have ended. `amalgam drain {}` tries again to move "
                      "them, `amalgam undrain {}` gives it back.",
                      device, device)};
    case DrainStep::kRefused:
      return {
          fmt::format("{} is not drained, and nothing has changed: {} cannot move", device,
                      sessions(count(DrainFate::kCannot))),
          fmt::format("End them, or let them stay until they end, with nothing new beside them: `amalgam drain {} --stay`",
                      device)};
    case DrainStep::kStopped:
      return {fmt::format("{} was given back meanwhile (`amalgam undrain`): {} moved", device, sessions(moved))};
    case DrainStep::kChecking:
    case DrainStep::kMoving: break;
  }
  return {};
}

std::string DrainStory::json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [session, entry] : entries_)
    list.push_back({{"session", session},
                    {"program", entry.program},
                    {"uid", entry.uid},
                    {"priority", model::priority_name(entry.priority)},
                    {"fate", fate_name(entry.fate)},
                    {"to", entry.to},
                    {"reason", entry.reason},
                    {"pause_us", entry.pause_us}});
  return json_text({{"device", last_.device}, {"result", step_name(last_.step)}, {"sessions", list}});
}

}  // namespace amalgam::cli
