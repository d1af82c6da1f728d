// SPDX-License-Identifier: Apache-2.0
#include "daemon/turns/child_census.h"

#include <utility>

#include "base/limits.h"
#include "daemon/host/process.h"

namespace amalgam::daemon {

void ChildCensus::count(uint64_t session, pid_t worker, const std::vector<pid_t>& members) {
  Times& known = children_[session];
  Times children;
  uint64_t ran_ns = 0;
  for (pid_t pid : members) {
    if (pid == worker) continue;
    const uint64_t now_ns = process_time_ns(pid).value_or(0);
    auto before = known.find(pid);
    const uint64_t seen_ns = before == known.end() ? 0 : before->second;
    ran_ns += now_ns > seen_ns ? now_ns - seen_ns : 0;
    children.emplace(pid, now_ns);
  }
  const uint64_t number = children.size();
  const bool had = !std::exchange(known, std::move(children)).empty();
  if (had || number != 0) listener_.found(session, number, ran_ns);
  if (number > kMaxChildren) listener_.too_many(session);
}

}  // namespace amalgam::daemon
