// SPDX-License-Identifier: Apache-2.0
#include "worker/control.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "protocol/control/move.h"
#include "protocol/link/ring.h"

namespace amalgam::worker {
namespace {

constexpr int kFirstFlushMs = 1, kLastFlushMs = 50;
constexpr uint64_t kAnswerNs = 2'000'000'000;  // for the daemon to say that the client is there; it may be coming back

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
    const int timeout_ms = wait_ms(congested ? flush_ms : -1);
    pollfd watched[4] = {
        {config_.client.get(), 0, 0},
        {governed_ ? config_.daemon.fd() : -1, POLLIN, 0},
        {nudge_.get(), POLLIN, 0},
        {congested ? -1 : config_.output_fd, POLLIN, 0},  // a client that does not read stops the printer
    };
    ::poll(watched, 4, timeout_ms);
    if ((watched[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) on_hang_up();
    if (leave_at_ns_ != 0 && protocol::monotonic_ns() >= leave_at_ns_) ::_exit(0);
    if (watched[1].revents != 0) on_daemon();
    if (watched[2].revents != 0) {
      uint64_t count;
      (void)!::read(nudge_.get(), &count, sizeof count);
      flush_ms = kFirstFlushMs;
    }
    if (watched[3].revents != 0) session_->drain_output();
    if (congested) flush_ms = session_->flush_outbox() ? kFirstFlushMs : std::min(2 * flush_ms, kLastFlushMs);
  }
}

/// Who has closed descriptors that he does not know still computes; only the daemon sees that.
void Control::on_hang_up() {
  config_.client.reset();
  if (!governed_ || !config_.daemon.send(protocol::ClientGone{})) ::_exit(0);
  leave_at_ns_ = protocol::monotonic_ns() + kAnswerNs;
}

int Control::wait_ms(int flush_ms) const {
  if (leave_at_ns_ == 0) return flush_ms;
  const uint64_t now = protocol::monotonic_ns();
  const int left_ms = now >= leave_at_ns_ ? 0 : static_cast<int>((leave_at_ns_ - now) / 1'000'000 + 1);
  return flush_ms < 0 ? left_ms : std::min(flush_ms, left_ms);
}

void Control::on_daemon() {
  auto packet = config_.daemon.receive(0);
  if (!packet) {
    if (packet.error().code == Code::kTimeout) return;
    // Daemon and guardian are gone. Or they have given the session to another worker.
    if (handed_over_.load()) ::_exit(0);
    governed_ = false;
    if (leave_at_ns_ != 0) ::_exit(0);
    session_->set_free(true);
    config_.threads.free();
    return;
  }
  on_packet(*packet);
}

void Control::hand_over(uint64_t patience_ms) {
  session_->hand_over(patience_ms, [this](Result<core::Executor::HandedOver> left) {
    protocol::HandedOver said;
    if (left) {
      handed_over_.store(true);
      said.copied_bytes = left->copied_bytes;
      said.pending = left->pending;
    } else {
      said.code = left.error().code;
      said.message = left.error().text();
    }
    (void)config_.daemon.send(said);
  });
}

void Control::stay() {
  handed_over_.store(false);
  session_->stay();
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
    case ControlType::kHandOver:
      if (auto asked = packet.as<protocol::HandOver>()) hand_over(asked->patience_ms);
      return;
    case ControlType::kStay: return stay();
    case ControlType::kRejoin:
      stay();
      config_.threads.free();  // what the earlier one said of them is not known to this one
      budget_->on_rejoin();
      return;
    case ControlType::kRefused:
      if (auto refused = packet.as<protocol::Refused>()) budget_->on_refused(refused->message);
      return;
    case ControlType::kKeepServing: leave_at_ns_ = 0; return;
    case ControlType::kShutdown: session_->close(); return;
    default: return;
  }
}

}  // namespace amalgam::worker
