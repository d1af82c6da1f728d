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
#include <sys/socket.h>

#include "base/limits.h"
#include "north/client/output.h"
#include "north/client/session.h"

namespace amalgam::client {
namespace {

constexpr uint64_t kPeerCheckNs = 100'000'000;  // how often a sleeping waiter looks whether the worker still lives

/// The session whose service thread this is.
thread_local const Session* t_served = nullptr;
/// This thread runs what was due: it waits for no other one that does.
thread_local bool t_runs_due = false;

}  // namespace

void Session::poll() {
  if (dead() || !completions_.ready()) {
    if (completions_.closed() || is_told_the_end() || is_check_due()) check_peer();
    return;
  }
  if (!leader_.try_lock()) return;
  drain();
  leader_.unlock();
  announce_progress();
}

/// Who only ever asks for a status must hear as well that there is nobody left who would change it.
bool Session::is_check_due() {
  const uint64_t now = protocol::monotonic_ns();
  uint64_t due = next_check_ns_.load(std::memory_order_relaxed);
  return now >= due && next_check_ns_.compare_exchange_strong(due, now + kPeerCheckNs, std::memory_order_relaxed);
}

void Session::drain() {
  using Next = protocol::RingConsumer::Next;
  // A worker that never stops must not keep whoever came for one completion.
  for (uint64_t taken = 0; taken < kMaxDrained && !dead(); ++taken) {
    Next next = completions_.next(*frame_);
    if (next == Next::kBroken) die();
    if (next != Next::kFrame) return;
    handle(*frame_);
  }
}

void Session::handle(const protocol::Frame& frame) {
  using protocol::CompletionType;
  auto with = [&](auto message, auto act) { protocol::decode(frame.payload(), message) ? act(message) : die(); };
  switch (frame.completion()) {
    case CompletionType::kReply: return on_reply(frame);
    case CompletionType::kEventDone: return with(protocol::EventDone{}, [&](auto& m) { on_event_done(m); });
    case CompletionType::kEventStatus: return with(protocol::EventStatus{}, [&](auto& m) { on_event_status(m); });
    case CompletionType::kGateReady: return with(protocol::GateReady{}, [&](auto& m) { on_gate(m); });
    case CompletionType::kStreamRetired: return with(protocol::StreamRetired{}, [&](auto& m) { on_retired(m); });
    case CompletionType::kOutput:
      return with(protocol::Output{}, [&](auto& m) {
        m.fd == STDOUT_FILENO || m.fd == STDERR_FILENO ? write_output(static_cast<int>(m.fd), m.text) : die();
      });
    case CompletionType::kFault: return die();
  }
  die();
}

void Session::on_reply(const protocol::Frame& frame) {
  protocol::Reply reply;
  if (!protocol::decode(frame.payload(), reply)) return die();
  if (reply.code != Code::kOk && !is_failure(reply.code)) return die();
  std::unique_lock lock(calls_mutex_);
  auto found = calls_.find(frame.header.call);
  // Once it is done the caller has it, without a lock.
  if (found == calls_.end() || found->second->done.load(std::memory_order_relaxed)) {
    lock.unlock();
    return die();
  }
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

/// The event with the reference that was owed, if an EventDone is owed for it. Not if it is gated; then it is still owed.
Event* Session::take_owed(protocol::ObjectId id, bool& gated) {
  Event* event = nullptr;
  ids_.find(id, [&](Tracked* object) {
    if (object->tracked_kind != Tracked::TrackedKind::kEvent) return;
    auto* found = static_cast<Event*>(object);
    if (!found->owed_.exchange(false)) return;
    gated = found->gated();
    if (gated)
      found->owed_.store(true);
    else
      event = found;
  });
  return event;
}

/// What is known of an event that something waits for. Of one that is not there any more: it has ended.
Seen Session::look(protocol::ObjectId id) {
  Seen seen;
  ids_.find(id, [&](Tracked* object) {
    if (object->tracked_kind != Tracked::TrackedKind::kEvent) return;
    auto* event = static_cast<Event*>(object);
    const int32_t status = event->status();
    const bool source = event->gated() || event->user_.load();
    seen.what = status < 0            ? Seen::What::kFailed
                : status == kComplete ? Seen::What::kEnded
                : source              ? Seen::What::kSource
                : event->owed_.load() ? Seen::What::kCommand
                                      : Seen::What::kEnded;
    if (seen.what == Seen::What::kCommand) seen.place = event->place_;
  });
  return seen;
}

/// Whether the command can have ended so, and its stream have come so far.
bool Session::is_believed(const protocol::EventDone& done, const Event* event) {
  auto look = [this](protocol::ObjectId id) { return this->look(id); };
  if (event != nullptr && done.status == kComplete && !gates_.may_have_ended(event->place_, look)) return false;
  bool sent = true, retires = false;
  ids_.find(done.stream, [&](Tracked* object) {
    if (object->tracked_kind != Tracked::TrackedKind::kStream) return;
    auto* stream = static_cast<Stream*>(object);
    sent = stream->has_sent(done.number);
    retires = stream->in_order;
  });
  return sent && (!retires || gates_.may_have_retired(done.stream, done.number, look));
}

void Session::on_event_done(const protocol::EventDone& done) {
  if (done.status > kComplete) return die();
  bool gated = false;
  Event* event = take_owed(done.event, gated);
  if (gated) {
    // Its work has not run, or runs now, on memory that the program takes back as soon as it hears of the end. Only a gate
    // that was refused ends so.
    Gate refused = done.status < 0 ? gates_.take_waiting(done.event) : Gate();
    if (!refused) return die();
    drop_service();
    event = take_owed(done.event, gated);
  }
  if (!is_believed(done, event)) {
    if (event != nullptr) event->owed_.store(true);
    die();
    return end_events();  // had others been dying while it was not owed
  }
  if (event != nullptr) event->settle(done.status, done.times);
  // Retire after the event has its status: an idle stream implies that its events say so.
  ids_.find(done.stream, [&](Tracked* object) {
    if (object->tracked_kind != Tracked::TrackedKind::kStream) return;
    auto* stream = static_cast<Stream*>(object);
    stream->note_end(done.times.ended);
    if (stream->in_order) retire(*stream, done.number);
  });
  if (event != nullptr) event->release();
}

void Session::on_event_status(const protocol::EventStatus& status) {
  if (status.status > kQueued) return die();
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
  if (ready.status < 0) {
    if (Gate failed = gates_.take_waiting(ready.event)) drop_service();
    return;
  }
  auto look = [this](protocol::ObjectId id) { return this->look(id); };
  if (ready.status > 0 || !gates_.make_ready(ready.event, look)) return die();
  defer([this, id = ready.event] { run_gate(id); });
}

/// On the service thread. If the session dies first nothing runs; if it dies meanwhile, all events end after the work.
void Session::run_gate(protocol::ObjectId id) {
  Gate::Work* work = gates_.begin(id);
  if (work == nullptr) return;
  int32_t status = (*work)();
  Gate ended = gates_.end(id);
  post(protocol::SignalEvent{id, status});
  if (dead()) end_events();
  drop_service();
  announce_progress();
}

/// The session is dead, and whoever hears of it may take back all memory that it has named, and finds every event ended.
/// Work that runs on this very thread cannot wait for itself.
void Session::await_end() {
  for (;;) {
    uint32_t seen = progress_.load(std::memory_order_seq_cst);
    if (ended_.load(std::memory_order_acquire) || (is_service_thread() && gates_.running() != 0)) return;
    follow(seen, kPeerCheckNs);
  }
}

void Session::on_retired(const protocol::StreamRetired& retired) {
  auto look = [this](protocol::ObjectId id) { return this->look(id); };
  bool sent = true;
  ids_.find(retired.stream, [&](Tracked* object) {
    if (object->tracked_kind == Tracked::TrackedKind::kStream) sent = static_cast<Stream*>(object)->has_sent(retired.number);
  });
  if (!sent || !gates_.may_have_retired(retired.stream, retired.number, look)) return die();
  ids_.find(retired.stream, [&](Tracked* object) {
    if (object->tracked_kind == Tracked::TrackedKind::kStream) retire(*static_cast<Stream*>(object), retired.number);
  });
}

void Session::die() {
  if (dead_.exchange(true, std::memory_order_acq_rel)) return;
  if (const int worker = worker_.get(); worker >= 0)
    ::shutdown(worker, SHUT_RDWR);  // one that lied still lives, and is to go
  end_calls();
  for ([[maybe_unused]] const Gate& gone : gates_.close()) drop_service();
  end_events();
  announce_progress();
  if (rings_ != nullptr) completions_.poke();  // whoever leads
}

void Session::end_calls() {
  std::vector<PendingCall*> later;
  {
    std::lock_guard lock(calls_mutex_);
    for (auto& [number, pending] : calls_) {
      if (pending->done.load(std::memory_order_relaxed)) continue;
      pending->result = dead_error();
      if (pending->later) later.push_back(pending);
    }
    // Before anybody runs and deletes them.
    std::erase_if(calls_, [](const auto& entry) { return static_cast<bool>(entry.second->later); });
  }
  for (PendingCall* pending : later) {
    drop_service();
    defer([pending] {
      pending->later(std::move(pending->result));
      delete pending;
    });
  }
}

/// Of a dead session. While the work of a gate runs no event ends, since programs conclude from any that they have their
/// memory back; then the work's end is theirs (run_gate).
void Session::end_events() {
  if (gates_.running() != 0) return;
  std::vector<Event*> owed;
  ids_.each([&](Tracked* object) {
    if (object->tracked_kind != Tracked::TrackedKind::kEvent) return;
    auto* event = static_cast<Event*>(object);
    if (event->owed_.exchange(false)) owed.push_back(event);
  });
  for (Event* event : owed) {
    event->settle(death_status(), {});
    event->release();
  }
  ended_.store(true, std::memory_order_release);
}

void Session::check_peer() {
  if (dead()) return;
  // A program that has closed the socket is told by the daemon.
  pollfd peer{worker_.get(), 0, 0};
  bool gone =
      completions_.closed() || is_told_the_end() || (::poll(&peer, 1, 0) > 0 && (peer.revents & (POLLHUP | POLLERR)) != 0);
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
    if (release_soon_.load(std::memory_order_acquire)) send_releases();
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

void Session::after(Afterwards::Job job) {
  if (dead()) return defer(std::move(job));
  hold_service();
  Afterwards::Until until = streams_under_way();
  ask_streams(until);
  afterwards_.add(std::move(until), [this, job = std::move(job)] {
    job();
    drop_service();
  });
  announce_progress();
  nudge_service();
}

/// A stream that is not there any more has nobody whom its worker would tell how far it came.
bool Session::has_come(protocol::ObjectId stream, uint64_t number) {
  if (dead()) return true;
  bool come = true;
  ids_.find(stream, [&](Tracked* object) {
    if (object->tracked_kind == Tracked::TrackedKind::kStream)
      come = static_cast<Stream*>(object)->retired.load(std::memory_order_acquire) >= number;
  });
  return come;
}

bool Session::is_due() {
  return !afterwards_.empty() && afterwards_.has_due([this](auto stream, auto number) { return has_come(stream, number); });
}

void Session::run_due() {
  if (afterwards_.empty()) return;
  running_due_.fetch_add(1, std::memory_order_seq_cst);
  const bool nested = std::exchange(t_runs_due, true);
  for (auto& job : afterwards_.take([this](auto stream, auto number) { return has_come(stream, number); })) job();
  t_runs_due = nested;
  running_due_.fetch_sub(1, std::memory_order_seq_cst);
  announce_progress();
}

/// Also what other threads have taken: a program that has waited may end next.
void Session::run_all_due() {
  run_due();
  for (;;) {
    uint32_t seen = progress_.load(std::memory_order_seq_cst);
    if (t_runs_due || is_service_thread() || running_due_.load(std::memory_order_seq_cst) == 0) return;
    follow(seen, kPeerCheckNs);
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
        t_served = static_cast<Session*>(self);
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

bool Session::is_service_thread() const { return t_served == this; }

void Session::service_loop() {
  auto is_off_duty = [this] { return off_duty_.load(std::memory_order_seq_cst) != 0; };
  for (;;) {
    uint32_t seen = progress_.load(std::memory_order_seq_cst);  // first: jobs, and waiters that leave, announce themselves
    run_jobs();
    run_due();
    if (dead() && leave_service()) return;
    bool held = service_holds_.load(std::memory_order_acquire) > 0 && !dead();
    if (held && !is_off_duty() && leader_.try_lock()) {
      service_leads_.store(true, std::memory_order_seq_cst);
      lead([&] { return is_off_duty() || is_due(); }, true);
      service_leads_.store(false, std::memory_order_seq_cst);
      leader_.unlock();
      announce_progress();
      continue;
    }
    follow(seen, held ? kPeerCheckNs : UINT64_MAX);
  }
}

/// A dead session needs its thread no more, until somebody has another job for it.
bool Session::leave_service() {
  std::lock_guard lock(jobs_mutex_);
  if (!jobs_.empty() || !afterwards_.empty()) return false;
  service_started_.store(false, std::memory_order_release);
  return true;
}

}  // namespace amalgam::client
