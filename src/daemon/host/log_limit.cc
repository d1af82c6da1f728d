// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/log_limit.h"

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kTellMs = 1000;  ///< how often it is told what was counted of one kind
constexpr size_t kKindBytes = 48;
constexpr std::string_view kAllOthers = "other";

/// The words before the first number, name or reason.
std::string_view kind_of(std::string_view line) {
  std::string_view words = line.substr(0, std::min(line.find_first_of("0123456789:;\"/(["), kKindBytes));
  while (words.ends_with(' ')) words.remove_suffix(1);
  return words;
}

}  // namespace

LogLimit::Kind& LogLimit::find(int level, std::string_view line) {
  std::pair<int, std::string> name(level, kind_of(line));
  auto found = kinds_.find(name);
  if (found == kinds_.end()) {
    if (kinds_.size() >= kLogKinds) name.second = kAllOthers;
    found = kinds_.try_emplace(std::move(name), Kind{Allowance(kLogLinesPerSecond, kLogBurst)}).first;
  }
  return found->second;
}

bool LogLimit::pass(int level, std::string_view line, uint64_t now_ms) {
  Kind& kind = find(level, line);
  if (kind.allowance.there(now_ms) != 0) {
    kind.allowance.spend(1);
    return true;
  }
  if (kind.held++ == 0) kind.tell_ms = now_ms + kTellMs;
  return false;
}

std::vector<LogLimit::Held> LogLimit::take_held(uint64_t now_ms) {
  std::vector<Held> taken;
  for (auto& [name, kind] : kinds_) {
    if (kind.held == 0 || kind.tell_ms > now_ms) continue;
    taken.push_back({name.second, name.first, kind.held});
    kind.held = 0;
  }
  return taken;
}

uint64_t LogLimit::next_ms() const {
  uint64_t next = UINT64_MAX;
  for (const auto& [name, kind] : kinds_)
    if (kind.held != 0) next = std::min(next, kind.tell_ms);
  return next;
}

}  // namespace amalgam::daemon
