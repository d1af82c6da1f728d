// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/worker_watch.h"

#include <utility>

#include "base/limits.h"
#include "daemon/host/memory_count.h"

namespace amalgam::daemon {

void WorkerWatch::begin(uint64_t session) {
  workers_.try_emplace(session);
  if (timer_ == 0) arm(kWorkerLookMs);
}

void WorkerWatch::arm(uint64_t ms) {
  timer_ = loop_.after_ms(ms, [this] {
    timer_ = 0;
    look();
  });
}

bool WorkerWatch::has_run(const SessionRecord& session, Worker& worker) {
  auto time = session.worker.group.time_ns();
  if (!time) time = process_time_ns(session.worker.process.pid);
  const bool moved = time && *time != std::exchange(worker.time_ns, *time);
  return moved || worker.helpers;
}

void WorkerWatch::look() {
  std::vector<uint64_t> all;
  std::vector<pid_t> run;
  for (auto& [id, worker] : workers_) {
    const SessionRecord* session = sessions_.find(id);
    if (session == nullptr) continue;
    all.push_back(id);
    if (has_run(*session, worker)) run.push_back(session->worker.process.pid);
  }
  const auto groups = run.empty() ? std::map<pid_t, std::vector<pid_t>>() : members_of(run);
  for (uint64_t id : all) {  // whoever listens may end one
    auto worker = workers_.find(id);
    SessionRecord* session = worker == workers_.end() ? nullptr : sessions_.find(id);
    if (session == nullptr) continue;
    auto members = groups.find(session->worker.process.pid);
    if (members != groups.end()) worker->second.helpers = members->second.size() > 1;
    looked_(*session, members == groups.end() ? nullptr : &members->second);
  }
  if (!workers_.empty() && timer_ == 0) arm(run.empty() ? kWorkerRestMs : kWorkerLookMs);
}

}  // namespace amalgam::daemon
