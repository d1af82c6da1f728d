// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/worker_pool.h"

#include <signal.h>
#include <sys/epoll.h>

#include <algorithm>

namespace amalgam::daemon {
namespace {

constexpr uint64_t kLingerMs = 1000;  ///< from hanging up to the end
constexpr size_t kMaxWarmUsers = 8;   ///< users for whom warm workers are kept; the one served longest ago loses its own

}  // namespace

WorkerPool::WorkerPool(EventLoop& loop, Logger& log, Launcher& launcher, uint64_t warm)
    : loop_(loop), log_(log), launcher_(launcher), warm_(warm) {}

WorkerPool::~WorkerPool() {
  waiters_.clear();
  drain();
}

size_t WorkerPool::count(uid_t uid) const { return static_cast<size_t>(std::ranges::count(spares_, uid, &Spare::uid)); }

size_t WorkerPool::waiting(uid_t uid) const { return static_cast<size_t>(std::ranges::count(waiters_, uid, &Waiter::uid)); }

void WorkerPool::take(uid_t uid, Taken taken) {
  auto ready = std::ranges::find_if(spares_, [&](const Spare& spare) { return spare.uid == uid && spare.ready; });
  if (ready != spares_.end()) {
    taken(extract(ready));
    // After the caller has its answer: starting the next one takes a moment.
    loop_.later([this, uid] { keep_warm(uid); });
    return;
  }
  waiters_.push_back({uid, std::move(taken)});
  if (count(uid) >= waiting(uid)) return;
  if (auto started = start(uid); !started) refuse(uid, started.error().message);
}

void WorkerPool::keep_warm(uid_t uid) {
  make_room(uid);
  while (count(uid) < warm_ + waiting(uid)) {
    if (auto started = start(uid); !started) {
      log_.error("a warm worker could not be started: {}", started.error().text());
      return;
    }
  }
}

void WorkerPool::make_room(uid_t uid) {
  std::vector<uid_t> users;  // the last one is the newest
  for (const Spare& spare : spares_) {
    std::erase(users, spare.uid);
    users.push_back(spare.uid);
  }
  if (users.size() < kMaxWarmUsers || std::ranges::find(users, uid) != users.end()) return;
  for (auto spare = spares_.begin(); spare != spares_.end();) {
    auto next = std::next(spare);
    if (spare->uid == users.front() && spare->ready) end(spare);
    spare = next;
  }
}

Result<void> WorkerPool::start(uid_t uid) {
  auto started = launcher_.start_worker(uid);
  if (!started) return std::unexpected(std::move(started.error()));
  Place spare = spares_.insert(spares_.end(), Spare{uid,
                                                    {std::move(started->process), std::move(started->channel),
                                                     std::move(started->group), std::move(started->errors)}});
  AMALGAM_TRY(loop_.watch(spare->worker.channel.fd(), EPOLLIN, [this, spare](uint32_t) { on_channel(spare); }), "worker");
  AMALGAM_TRY(loop_.watch(spare->worker.process.pidfd.get(), EPOLLIN, [this, spare](uint32_t) { on_end(spare); }), "worker");
  spare->timer = loop_.after_ms(kWorkerStartTimeoutMs, [this, spare] {
    log_.error("worker {} has not said hello in {} ms", spare->worker.process.pid, kWorkerStartTimeoutMs);
    spare->timer = 0;
    put_an_end(spare->worker);
  });
  return {};
}

void WorkerPool::on_channel(Place spare) {
  auto packet = spare->worker.channel.receive(0, protocol::Passengers::kLeave);
  if (!packet && packet.error().code == Code::kTimeout) return;
  auto hello = packet ? packet->as<protocol::WorkerHello>() : std::unexpected(packet.error());
  const bool right = hello && !spare->ready && hello->version == protocol::kControlVersion;
  if (!right) {
    loop_.unwatch(spare->worker.channel.fd());
    loop_.cancel(spare->timer);
    // Whoever hangs up is about to end, and its exit status may say why.
    if (packet)
      log_.error("worker {} did not say hello as it must: {}", spare->worker.process.pid,
                 hello ? "another version, or twice" : hello.error().text());
    spare->timer = loop_.after_ms(packet ? 0 : kLingerMs, [spare] {
      spare->timer = 0;
      put_an_end(spare->worker);
    });
    return;
  }
  spare->ready = true;
  loop_.cancel(std::exchange(spare->timer, 0));
  auto waiter = std::ranges::find(waiters_, spare->uid, &Waiter::uid);
  if (waiter == waiters_.end()) return;
  uid_t uid = spare->uid;
  Taken taken = std::move(waiter->taken);
  waiters_.erase(waiter);
  taken(extract(spare));
  loop_.later([this, uid] { keep_warm(uid); });
}

void WorkerPool::on_end(Place spare) {
  uid_t uid = spare->uid;
  bool was_ready = spare->ready;
  Worker worker = extract(spare);
  std::string how = reap(worker.process);
  (void)worker.group.remove();
  log_.warn("worker {} ended before it had a session: {}", worker.process.pid, how);
  if (!was_ready) refuse(uid, "the worker ended at its start: " + how);
}

Worker WorkerPool::extract(Place spare) {
  loop_.unwatch(spare->worker.channel.fd());
  loop_.unwatch(spare->worker.process.pidfd.get());
  loop_.cancel(spare->timer);
  Worker worker = std::move(spare->worker);
  spares_.erase(spare);
  return worker;
}

void WorkerPool::refuse(uid_t uid, const std::string& why) {
  // Those for whom no worker is on its way any more.
  while (waiting(uid) > count(uid)) {
    auto waiter = std::ranges::find(waiters_, uid, &Waiter::uid);
    Taken taken = std::move(waiter->taken);
    waiters_.erase(waiter);
    taken(fail(Code::kUnavailable, why));
  }
}

void WorkerPool::end(Place spare) { retire(extract(spare)); }

void WorkerPool::retire(Worker worker) {
  put_an_end(worker);
  // Reaped when it has ended, or by init if we end first.
  auto last = std::make_shared<Worker>(std::move(worker));
  (void)loop_.watch(last->process.pidfd.get(), EPOLLIN, [this, last](uint32_t) {
    loop_.unwatch(last->process.pidfd.get());
    reap(last->process);
    (void)last->group.remove();
  });
}

void put_an_end(const Worker& worker) {
  signal_group(worker.process, SIGKILL);
  signal_process(worker.process, SIGKILL);
  (void)worker.group.kill();
}

void WorkerPool::discard() {
  for (Place spare = spares_.begin(); spare != spares_.end();) {
    Place next = std::next(spare);
    if (spare->ready) end(spare);
    spare = next;
  }
}

void WorkerPool::drain() {
  while (!spares_.empty()) end(spares_.begin());
  while (!waiters_.empty()) {
    Taken taken = std::move(waiters_.front().taken);
    waiters_.pop_front();
    taken(fail(Code::kUnavailable, "the daemon is ending"));
  }
}

std::vector<pid_t> WorkerPool::pids() const {
  std::vector<pid_t> pids;
  for (const Spare& spare : spares_) pids.push_back(spare.worker.process.pid);
  return pids;
}

}  // namespace amalgam::daemon
