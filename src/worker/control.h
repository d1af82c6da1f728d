// SPDX-License-Identifier: Apache-2.0
// Control: the worker's second thread, which watches everybody else while the dispatcher may be stuck in a driver.
//
//   client's socket hangs up ─▶ ClientGone ─▶ daemon ─▶ kills us, or KeepServing; if neither comes the process exits
//   daemon ─ Granted, Reclaim ─▶ budget          budget ─ Reserve, Return ─▶ daemon
//   daemon ─ BindThreads ─▶ the drivers' threads
//   daemon ─ Rejoin ─▶ what is held, and what waits for an answer     (another daemon has come)
//   standard output ─▶ Output completions       congested outbox ─▶ flushed by the clock
//
// A daemon's death is not seen here: its guardian keeps the socket open. Where both are gone nobody governs the session.
//
// Threads: one of its own; the Daemon methods are called from any, under the budget's lock. Lifetime: that of the process.
#pragma once

#include <array>
#include <atomic>
#include <string>

#include "core/memory/memory_budget.h"
#include "core/session/execute/executor.h"
#include "protocol/control/channel.h"
#include "worker/place/processors.h"

namespace amalgam::worker {

class Control final : public core::MemoryBudget::Daemon {
 public:
  struct Config {
    UniqueFd client;  ///< hang-up means that the client is gone, or has closed its end
    protocol::Channel daemon;
    int output_fd = -1;      ///< read end of standard output; kept by the caller
    ComputeThreads threads;  ///< of the drivers
  };
  explicit Control(Config config);

  void send(const protocol::Reserve& reserve) override { (void)config_.daemon.send(reserve); }
  void send(const protocol::Return& give) override { (void)config_.daemon.send(give); }
  void send(const protocol::Held& held) override { (void)config_.daemon.send(held); }

  /// The session's on_congested.
  void on_congested();
  /// Starts the thread. Both outlive the process's last breath.
  void start(core::MemoryBudget& budget, core::Executor& session);
  const protocol::Channel& daemon() const { return config_.daemon; }

 private:
  void run();
  void on_daemon();
  void on_packet(const protocol::Packet& packet);
  void on_hang_up();
  void hand_over(uint64_t patience_ms);
  void stay();
  int wait_ms(int flush_ms) const;

  Config config_;
  UniqueFd nudge_;  ///< eventfd: the outbox has become congested
  core::MemoryBudget* budget_ = nullptr;
  core::Executor* session_ = nullptr;
  std::atomic<bool> handed_over_{false};  ///< another worker is to serve the session
  bool governed_ = true;                  ///< by a daemon, or by its guardian
  uint64_t leave_at_ns_ = 0;              ///< the client seems to be gone, and nobody has said otherwise; 0: it is there
};

}  // namespace amalgam::worker
