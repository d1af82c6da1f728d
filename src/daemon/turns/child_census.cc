// SPDX-License-Identifier: Apache-2.0
#include "daemon/turns/child_census.h"

#include <utility>
#include <vector>

#include "base/limits.h"
#include "daemon/host/memory_count.h"
#include "daemon/host/process.h"

namespace amalgam::daemon {

void ChildCensus::begin(uint64_t session, pid_t worker) {
  workers_[session] = {worker, 0, {}};
  if (timer_ == 0) timer_ = loop_.after_ms(kChildrenEveryMs, [this] { look(); });
}

void ChildCensus::look() {
  constexpr uint64_t kSeldom = 4;
  timer_ = 0;
  std::vector<pid_t> groups;
  std::vector<uint64_t> sessions;
  for (auto& [session, worker] : workers_) {
    const uint64_t own_ns = process_time_ns(worker.pid).value_or(worker.own_ns);
    if (std::exchange(worker.own_ns, own_ns) == own_ns && worker.children.empty()) continue;
    groups.push_back(worker.pid);
    sessions.push_back(session);
  }
  const auto members = groups.empty() ? std::map<pid_t, std::vector<pid_t>>() : members_of(groups);
  for (uint64_t session : sessions)  // whoever listens may end one
    if (auto found = workers_.find(session); found != workers_.end()) count(session, found->second, members);
  if (!workers_.empty() && timer_ == 0)
    timer_ = loop_.after_ms(groups.empty() ? kSeldom * kChildrenEveryMs : kChildrenEveryMs, [this] { look(); });
}

void ChildCensus::count(uint64_t session, Worker& worker, const std::map<pid_t, std::vector<pid_t>>& members) {
  auto group = members.find(worker.pid);
  if (group == members.end()) return;
  std::map<pid_t, uint64_t> children;
  uint64_t ran_ns = 0;
  for (pid_t pid : group->second) {
    if (pid == worker.pid) continue;
    const uint64_t now_ns = process_time_ns(pid).value_or(0);
    auto before = worker.children.find(pid);
    const uint64_t seen_ns = before == worker.children.end() ? 0 : before->second;
    ran_ns += now_ns > seen_ns ? now_ns - seen_ns : 0;
    children.emplace(pid, now_ns);
  }
  const bool had = !std::exchange(worker.children, std::move(children)).empty();
  const uint64_t number = worker.children.size();
  if (had || number != 0) listener_.found(session, number, ran_ns);
  if (number > kMaxChildren) listener_.too_many(session);
}

}  // namespace amalgam::daemon
