// SPDX-License-Identifier: Apache-2.0
#include "daemon/turns/child_census.h"

#include <utility>
#include <vector>

#include "base/limits.h"
#include "daemon/host/process.h"

namespace amalgam::daemon {

void ChildCensus::begin(uint64_t session, pid_t worker) {
  workers_[session] = {worker, 0, {}};
  if (timer_ == 0) timer_ = loop_.after_ms(kChildrenEveryMs, [this] { look(); });
}

void ChildCensus::look() {
  constexpr uint64_t kSeldom = 4;
  timer_ = 0;
  bool ran = false;
  std::vector<uint64_t> sessions;
  for (const auto& [session, worker] : workers_) sessions.push_back(session);
  for (uint64_t session : sessions)  // whoever listens may end one
    if (auto found = workers_.find(session); found != workers_.end()) ran |= look_at(session, found->second);
  if (!workers_.empty() && timer_ == 0)
    timer_ = loop_.after_ms(ran ? kChildrenEveryMs : kSeldom * kChildrenEveryMs, [this] { look(); });
}

/// Whether it has run.
bool ChildCensus::look_at(uint64_t session, Worker& worker) {
  const uint64_t own_ns = process_time_ns(worker.pid).value_or(worker.own_ns);
  if (std::exchange(worker.own_ns, own_ns) == own_ns && worker.children.empty()) return false;
  std::map<pid_t, uint64_t> children = descendants_of(worker.pid, kMaxChildren + 1);
  uint64_t ran_ns = 0;
  for (const auto& [pid, now_ns] : children) {
    auto before = worker.children.find(pid);
    const uint64_t seen_ns = before == worker.children.end() ? 0 : before->second;
    ran_ns += now_ns > seen_ns ? now_ns - seen_ns : 0;
  }
  const bool had = !std::exchange(worker.children, std::move(children)).empty();
  const uint64_t count = worker.children.size();
  if (had || count != 0) listener_.found(session, count, ran_ns);
  if (count > kMaxChildren) listener_.too_many(session);
  return true;
}

}  // namespace amalgam::daemon
