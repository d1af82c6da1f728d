// SPDX-License-Identifier: Apache-2.0
// Control: the worker's second thread, which watches everybody else while the dispatcher may be stuck in a driver.
//
//   client's socket hangs up ─▶ the process exits, whatever the driver is doing
//   daemon ─ Granted, Reclaim ─▶ budget          budget ─ Reserve, Return ─▶ daemon
//   daemon ─ BindThreads ─▶ the drivers' threads
//   daemon hangs up ─▶ every 200 ms: connect, WorkerHello with what we hold ─ Done ─▶ budget goes on
//   standard output ─▶ Output completions       congested outbox ─▶ flushed by the clock
//
// Threads: one of its own; the Daemon methods are called from any, under the budget's lock. The channel is only replaced
// while the budget counts as lost, when nobody sends. Lifetime: that of the process.
#pragma once

#include <array>
#include <atomic>
#include <string>

#include "core/memory/memory_budget.h"
#include "core/session/execute/executor.h"
#include "protocol/control/channel.h"
#include "worker/processors.h"

namespace amalgam::worker {

class Control final : public core::MemoryBudget::Daemon {
 public:
  struct Config {
    UniqueFd client;  ///< hang-up means that the client is gone
    protocol::Channel daemon;
    std::string socket_path;  ///< to come back to the daemon; empty: never
    protocol::Token secret{};
    uint64_t session = 0;
    /// Shown to a daemon that has come back; kept by the caller.
    protocol::DescriptorsToSend<protocol::WorkerHello> shown;
    int output_fd = -1;      ///< read end of standard output; kept by the caller
    ComputeThreads threads;  ///< of the drivers
  };
  explicit Control(Config config);

  void send(const protocol::Reserve& reserve) override { (void)config_.daemon.send(reserve); }
  void send(const protocol::Return& give) override { (void)config_.daemon.send(give); }

  /// The session's on_congested.
  void on_congested();
  /// Starts the thread. Both outlive the process's last breath.
  void start(core::MemoryBudget& budget, core::Executor& session);
  const protocol::Channel& daemon() const { return config_.daemon; }

 private:
  enum class State : uint8_t { kUp, kLost, kGreeting };
  void run();
  void on_daemon();
  void on_packet(const protocol::Packet& packet);
  void lose();
  void greet();

  Config config_;
  UniqueFd nudge_;  ///< eventfd: the outbox has become congested
  core::MemoryBudget* budget_ = nullptr;
  core::Executor* session_ = nullptr;
  State state_ = State::kUp;
  uint64_t next_try_ns_ = 0;
};

}  // namespace amalgam::worker
