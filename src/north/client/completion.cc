// SPDX-License-Identifier: Apache-2.0
// The receiving half of a session: draining, waiting, and the service thread.
//
// Theory. Completions arrive on one ring; whoever needs one becomes the leader and drains for everybody. That costs one
// wake-up from the worker to the thread that waits, where a dedicated reader thread would cost two. The service thread leads
// only while something is pending that no waiting thread would notice, and steps back as soon as a thread of the program
// waits: that thread can spin, and is awake first.
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "north/client/session.h"

namespace amalgam::client {
namespace {

constexpr uint64_t kPeerCheckNs = 100'000'000;  // how often a sleeping waiter looks whether the worker still lives

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::write(fd, text.data(), text.size());
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

void Session::poll() {
  if (dead() || !completions_.ready()) {
    if (completions_.closed()) check_peer();
    return;
  }
  if (!leader_.try_lock()) return;
  drain();
  leader_.unlock();
  announce_progress();
}

void Session::drain() {
  using Next = protocol::RingConsumer::Next;
  for (;;) {
    Next next = completions_.next(*frame_);
    if (next == Next::kFrame) {
      handle(*frame_);
      continue;
    }
    if (next == Next::kBroken) die();
    return;
  }
}

void Session::handle(const protocol::Frame& frame) {
  using protocol::CompletionType;
  auto with = [&](auto message, auto act) {
    if (protocol::decode(frame.payload(), message)) act(message);
  };
  switch (frame.completion()) {
    case CompletionType::kReply: return on_reply(frame);
    case CompletionType::kEventDone: return with(protocol::EventDone{}, [&](auto& m) { on_event_done(m); });
    case CompletionType::kEventStatus: return with(protocol::EventStatus{}, [&](auto& m) { on_event_status(m); });
    case CompletionType::kGateReady: return with(protocol::GateReady{}, [&](auto& m) { on_gate(m); });
    case CompletionType::kStreamRetired: return with(protocol::StreamRetired{}, [&](auto& m) { on_retired(m); });
    case CompletionType::kOutput:
      return with(protocol::Output{}, [&](auto& m) {
        if (m.fd == 1 || m.fd == 2) write_all(static_cast<int>(m.fd), m.text);
      });
    case CompletionType::kFault: return die();
  }
}

void Session::on_reply(const protocol::Frame& frame) {
  protocol::Reply reply;
  if (!protocol::decode(frame.payload(), reply)) return die();
  std::lock_guard lock(calls_mutex_);
  auto found = calls_.find(frame.header.call);
  if (found == calls_.end()) return;
  PendingCall* pending = found->second;
  if (reply.code == Code::kOk) {
    pending->result = Payload(reply.payload.begin(), reply.payload.end());
  } else {
    Error error(reply.code, std::string(reply.message), reply.native);
    // The payload of a failed call says what exists all the same (LinkReply); it travels behind the message.
    pending->result = std::unexpected(std::move(error));
    pending->error_payload.assign(reply.payload.begin(), reply.payload.end());
  }
  if (!pending->later) {
    pending->done.store(true, std::memory_order_release);  // the caller owns it from here on
    return;
  }
  calls_.erase(found);
  defer([pending] {
    pending->later(std::move(pending->result));
    delete pending;
  });
  drop_service();
}

void Session::on_event_done(const protocol::EventDone& done) {
  Event* event = nullptr;
  ids_.find(done.event, [&](Tracked* object) {
    if (object->tracked_kind != Tracked::TrackedKind::kEvent) return;
    auto* found = static_cast<Event*>(object);
    if (found->owed_.exchange(false, std::memory_order_acq_rel)) event = found;
  });
  if (event != nullptr) event->settle(done.status > 0 ? kComplete : done.status, done.times);
  // Retire after the event has its status: an idle stream implies that its events say so.
  ids_.find(done.stream, [&](Tracked* object) {
    if (object->tracked_kind != Tracked::TrackedKind::kStream) return;
    auto* stream = static_cast<Stream*>(object);
    stream->note_end(done.times.ended);
    if (stream->in_order) stream->retire(done.number);
  });
  if (event != nullptr) event->release();
}

void Session::on_event_status(const protocol::EventStatus& status) {
  Event* event = nullptr;
  ids_.find(status.event, [&](Tracked* object) {
    if (object->tracked_kind != Tracked::TrackedKind::kEvent) return;
    event = static_cast<Event*>(object);
    if (event->owed_.load(std::memory_order_acquire))
      event->retain();
    else
      event = nullptr;
  });
  if (event == nullptr) return;
  if (status.status > kComplete) event->settle(status.status, {});
  event->release();
}

void Session::on_gate(const protocol::GateReady& ready) {
  std::function<int32_t()> work;
  {
    std::lock_guard lock(gates_mutex_);
    auto found = gates_.find(ready.event);
    if (found == gates_.end()) return;
    work = std::move(found->second);
    gates_.erase(found);
  }
  if (ready.status < 0) return drop_service();
  // The event cannot go before the signal: its EventDone is still owed.
  defer([this, work = std::move(work), id = ready.event] {
    int32_t status = work();
    post(protocol::SignalEvent{id, status});
    drop_service();
  });
}

void Session::on_retired(const protocol::StreamRetired& retired) {
  ids_.find(retired.stream, [&](Tracked* object) {
    if (object->tracked_kind == Tracked::TrackedKind::kStream) static_cast<Stream*>(object)->retire(retired.number);
  });
}

void Session::die() {
  if (dead_.exchange(true, std::memory_order_acq_rel)) return;
  {
    std::lock_guard lock(calls_mutex_);
    for (auto& [number, pending] : calls_) {
      pending->result = dead_error();
      if (!pending->later) continue;
      drop_service();
      defer([pending] {
        pending->later(std::move(pending->result));
        delete pending;
      });
    }
    std::erase_if(calls_, [](const auto& entry) { return static_cast<bool>(entry.second->later); });
  }
  std::vector<Event*> owed;
  ids_.each([&](Tracked* object) {
    if (object->tracked_kind != Tracked::TrackedKind::kEvent) return;
    auto* event = static_cast<Event*>(object);
    if (event->owed_.exchange(false, std::memory_order_acq_rel)) owed.push_back(event);
  });
  for (Event* event : owed) {
    event->settle(kDeadStatus, {});
    event->release();
  }
  {
    std::lock_guard lock(gates_mutex_);
    gates_.clear();
  }
  announce_progress();
}

void Session::check_peer() {
  if (dead()) return;
  pollfd peer{worker_.get(), 0, 0};
  bool gone = completions_.closed() || (::poll(&peer, 1, 0) > 0 && (peer.revents & (POLLHUP | POLLERR)) != 0);
  if (gone && !completions_.ready()) die();
}

void Session::announce_progress() {
  progress_.fetch_add(1, std::memory_order_seq_cst);
  if (followers_.load(std::memory_order_seq_cst) != 0) protocol::futex_wake_all(&progress_);
}

void Session::nudge_service() {
  if (!service_leads_.load(std::memory_order_seq_cst)) return;
  if (rings_->completion.sleeping.exchange(0, std::memory_order_acq_rel) != 0)
    protocol::futex_wake_all(&rings_->completion.sleeping);
}

bool Session::lead(const std::function<bool()>& done, bool service) {
  for (;;) {
    drain();
    if (done() || dead()) return true;
    announce_progress();
    uint64_t begin = protocol::monotonic_ns();
    bool there = completions_.wait(service ? nullptr : &spin_, kPeerCheckNs, service ? &off_duty_ : nullptr);
    uint64_t waited = protocol::monotonic_ns() - begin;
    if (!there && (waited >= kPeerCheckNs / 2 || completions_.closed())) check_peer();
    if (service && !there) return false;
  }
}

/// Sleeps until somebody announces progress after `seen`.
void Session::follow(uint32_t seen, uint64_t timeout_ns) {
  followers_.fetch_add(1, std::memory_order_seq_cst);
  if (progress_.load(std::memory_order_seq_cst) == seen) protocol::futex_wait(&progress_, seen, timeout_ns);
  followers_.fetch_sub(1, std::memory_order_seq_cst);
}

bool Session::wait_until(const std::function<bool()>& done) {
  if (done()) return true;
  off_duty_.fetch_add(1, std::memory_order_seq_cst);
  for (;;) {
    uint32_t seen = progress_.load(std::memory_order_seq_cst);  // first: whoever lets go of the lead announces it
    if (done() || dead()) break;
    if (leader_.try_lock()) {
      lead(done, false);
      leader_.unlock();
      announce_progress();
      continue;
    }
    nudge_service();
    follow(seen, kPeerCheckNs);
  }
  off_duty_.fetch_sub(1, std::memory_order_acq_rel);
  if (service_holds_.load(std::memory_order_acquire) > 0) announce_progress();  // the service thread leads again
  return done();
}

void Session::defer(std::function<void()> job) {
  {
    std::lock_guard lock(jobs_mutex_);
    if (jobs_.empty()) off_duty_.fetch_add(1, std::memory_order_seq_cst);
    jobs_.push_back(std::move(job));
  }
  need_service();
  announce_progress();
  nudge_service();
}

void Session::run_jobs() {
  for (;;) {
    std::deque<std::function<void()>> batch;
    {
      std::lock_guard lock(jobs_mutex_);
      if (jobs_.empty()) return;
      batch.swap(jobs_);
      off_duty_.fetch_sub(1, std::memory_order_acq_rel);
    }
    for (auto& job : batch) job();
  }
}

void Session::need_service() {
  if (service_started_.exchange(true, std::memory_order_acq_rel)) {
    announce_progress();
    return;
  }
  // The program's signals are for the program's threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int created = pthread_create(
      &thread, nullptr,
      [](void* self) -> void* {
        pthread_setname_np(pthread_self(), "amalgam");
        static_cast<Session*>(self)->service_loop();
        return nullptr;
      },
      this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (created == 0)
    pthread_detach(thread);
  else
    service_started_.store(false, std::memory_order_release);
}

void Session::service_loop() {
  auto is_off_duty = [this] { return off_duty_.load(std::memory_order_seq_cst) != 0; };
  for (;;) {
    uint32_t seen = progress_.load(std::memory_order_seq_cst);  // first: jobs, and waiters that leave, announce themselves
    run_jobs();
    bool held = service_holds_.load(std::memory_order_acquire) > 0 && !dead();
    if (held && !is_off_duty() && leader_.try_lock()) {
      service_leads_.store(true, std::memory_order_seq_cst);
      lead(is_off_duty, true);
      service_leads_.store(false, std::memory_order_seq_cst);
      leader_.unlock();
      announce_progress();
      continue;
    }
    follow(seen, held ? kPeerCheckNs : UINT64_MAX);
  }
}

}  // namespace amalgam::client
