// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch/ended_sessions.h"

#include <algorithm>

namespace amalgam::daemon {

void EndedSessions::add(EndedSession session) {
  if (sessions_.size() >= most_) make_room();
  sessions_.insert_or_assign(session.session, std::move(session));
}

void EndedSessions::make_room() {
  std::map<uid_t, size_t> counts;
  for (const auto& [id, session] : sessions_) ++counts[session.owner];
  const auto most = std::ranges::max_element(counts, {}, [](const auto& count) { return count.second; });
  auto oldest = std::ranges::find_if(sessions_, [&](const auto& entry) { return entry.second.owner == most->first; });
  if (oldest != sessions_.end()) sessions_.erase(oldest);
}

const EndedSession* EndedSessions::find(uint64_t session) const {
  auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : &found->second;
}

}  // namespace amalgam::daemon
