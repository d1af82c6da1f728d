// SPDX-License-Identifier: Apache-2.0
#include "worker/control.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace amalgam::worker {
namespace {

constexpr uint64_t kRetryNs = 200'000'000;       // a daemon that restarts is found again this fast
constexpr uint64_t kGreetingNs = 5'000'000'000;  // a daemon that accepted us and says nothing is none
constexpr int kFirstFlushMs = 1, kLastFlushMs = 50;

}  // namespace

Control::Control(Config config) : config_(std::move(config)), nudge_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Control::on_congested() {
  uint64_t one = 1;
  (void)!::write(nudge_.get(), &one, sizeof one);
}

void Control::start(core::MemoryBudget& budget, core::Executor& session) {
  budget_ = &budget;
  session_ = &session;
  std::thread([this] { run(); }).detach();
}

void Control::run() {
  int flush_ms = kFirstFlushMs;
  for (;;) {
    bool congested = session_->congested();
    int timeout_ms = -1;
    if (congested) timeout_ms = flush_ms;
    if (state_ != State::kUp && !config_.socket_path.empty()) {
      uint64_t now = protocol::monotonic_ns();
      int until = next_try_ns_ > now ? static_cast<int>((next_try_ns_ - now) / 1'000'000 + 1) : 0;
      timeout_ms = timeout_ms < 0 ? until : std::min(timeout_ms, until);
    }
    pollfd watched[4] = {
        {config_.client.get(), 0, 0},
        {state_ == State::kLost ? -1 : config_.daemon.fd(), POLLIN, 0},
        {nudge_.get(), POLLIN, 0},
        {congested ? -1 : config_.output_fd, POLLIN, 0},  // a client that does not read stops the printer
    };
    ::poll(watched, 4, timeout_ms);
    if ((watched[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) ::_exit(0);
    if (watched[1].revents != 0) on_daemon();
    if (watched[2].revents != 0) {
      uint64_t count;
      (void)!::read(nudge_.get(), &count, sizeof count);
      flush_ms = kFirstFlushMs;
    }
    if (watched[3].revents != 0) session_->drain_output();
    if (congested) flush_ms = session_->flush_outbox() ? kFirstFlushMs : std::min(2 * flush_ms, kLastFlushMs);
    if (state_ != State::kUp && protocol::monotonic_ns() >= next_try_ns_) greet();
  }
}

void Control::on_daemon() {
  auto packet = config_.daemon.receive(0);
  if (!packet) {
    if (packet.error().code != Code::kTimeout) lose();
    return;
  }
  on_packet(*packet);
}

void Control::on_packet(const protocol::Packet& packet) {
  using protocol::ControlType;
  switch (packet.type()) {
    case ControlType::kGranted:
      if (auto granted = packet.as<protocol::Granted>()) budget_->on_granted(*granted);
      return;
    case ControlType::kReclaim: budget_->on_reclaim(); return;
    case ControlType::kBindThreads:
      if (auto said = packet.as<protocol::BindThreads>()) config_.threads.bind(said->device, said->binding);
      return;
    case ControlType::kDone:
      if (state_ != State::kGreeting) return;
      state_ = State::kUp;
      budget_->on_back();
      session_->set_free(false);
      return;
    case ControlType::kRefused: {
      // A daemon that does not want us back may be another one; it may still change its mind.
      if (state_ == State::kGreeting) return lose();
      if (auto refused = packet.as<protocol::Refused>()) budget_->on_refused(refused->message);
      return;
    }
    case ControlType::kShutdown: session_->close(); return;
    default: return;
  }
}

void Control::lose() {
  budget_->on_lost();
  session_->set_free(true);
  config_.threads.free();
  state_ = State::kLost;
  config_.daemon = protocol::Channel();
  next_try_ns_ = protocol::monotonic_ns() + kRetryNs;
}

void Control::greet() {
  if (config_.socket_path.empty()) {
    next_try_ns_ = UINT64_MAX;
    return;
  }
  if (state_ == State::kGreeting) return lose();
  next_try_ns_ = protocol::monotonic_ns() + kRetryNs;
  auto daemon = protocol::Channel::connect(config_.socket_path);
  if (!daemon) return;
  protocol::WorkerHello hello;
  hello.secret = config_.secret;
  hello.session = config_.session;
  hello.granted_bytes = budget_->granted();
  if (!daemon->send_with(hello, config_.shown)) return;
  config_.daemon = std::move(*daemon);
  state_ = State::kGreeting;
  next_try_ns_ = protocol::monotonic_ns() + kGreetingNs;
}

}  // namespace amalgam::worker
