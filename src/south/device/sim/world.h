// SPDX-License-Identifier: Apache-2.0
// World: the virtual clock, the engines of all sim devices, and the faults; the discrete-event loop behind every stream.
//
// Theory. A command counts the events that it still waits for. At zero, once its stream is flushed, it joins the ready set
// of its engine (compute or link of a device). A free engine takes a random one of its ready set: any of them may go first
// by the API's rules, so a program that only works in the usual order fails here. It ends after its duration, and then, at
// one virtual moment, its effect on memory is made and its event completes. Every choice comes from one seeded generator.
//
// Threads: one mutex over all state. Callbacks are collected under it and called without it, by one thread at a time and in
// order; a callback may enqueue, signal or flush. Lifetime: shared by everything that the backend makes but events; with the
// last of them every command that is left ends as lost.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "south/device/sim/numbers.h"
#include "south/device/sim/random.h"
#include "south/device/sim/sim.h"

namespace amalgam::south::sim {

class SimEvent;

enum class Engine : uint8_t { kCompute = 0, kLink = 1, kNone = 2 };

/// One enqueue. Its effect runs once, at its end, and says how it went.
struct Command {
  std::string label;  ///< "launch fill_index", "transfer", …
  std::string kernel;
  uint32_t device = 0;
  Engine engine = Engine::kNone;
  uint64_t duration_ns = 0;
  std::function<int32_t()> effect;
  std::shared_ptr<SimEvent> event;

  // The world's own.
  uint64_t number = 0;
  uint64_t end_ns = 0;
  size_t unmet = 0;
  bool flushed = false, started = false, ended = false, hung = false;
  int32_t inherited = 0;  ///< why it cannot run: a wait that failed
};
using CommandPtr = std::shared_ptr<Command>;

class World final : public SimController {
 public:
  explicit World(const SimConfig& config);
  ~World() override;

  const SimConfig& config() const { return config_; }

  uint64_t now_ns() const override;
  bool step() override;
  void advance(uint64_t ns) override;
  void run() override;
  void lose_device(uint32_t device) override;
  void hang_kernel(uint32_t device, const std::string& kernel) override;
  void unhang(uint32_t device) override;
  void slow_link(uint32_t device, uint64_t factor) override;
  void fail_builds(const std::string& log) override;
  std::vector<std::string> trace() const override;

  /// Takes a command whose explicit waits are `waits` (a failure fails it too) and that comes after all of `after` (whatever
  /// becomes of them). It starts once flushed.
  void submit(const CommandPtr& command, Waits waits, const std::vector<std::shared_ptr<SimEvent>>& after);
  /// Makes the commands startable and, unless the clock is manual, lets it run.
  void flush(const std::vector<CommandPtr>& commands);
  Result<void> signal(SimEvent& event, int32_t status);
  void watch(SimEvent& event, int32_t status, std::function<void(const Outcome&)> reached);
  Outcome outcome(const SimEvent& event) const;
  bool is_over(const SimEvent& event) const;

  bool is_lost(uint32_t device) const;
  std::string build_fault() const;
  /// Durations before jitter.
  uint64_t launch_ns(uint64_t items) const;
  uint64_t transfer_ns(uint32_t device, uint64_t bytes) const;
  /// Memory of one device: false if there is not that much left.
  bool take_memory(uint64_t bytes);
  void give_memory(uint64_t bytes);

 private:
  struct DeviceState {
    bool lost = false;
    uint64_t link_factor = 1;
    std::vector<std::string> to_hang;
    std::vector<CommandPtr> ready[3];
    CommandPtr busy[2];  ///< what compute and link work on
  };

  void make_ready(const CommandPtr& command);
  void start(DeviceState& device, const CommandPtr& command);
  bool start_all();
  bool step_locked(uint64_t until_ns);
  void end(const CommandPtr& command, int32_t status);
  void complete(SimEvent& event, int32_t status);
  void reach(SimEvent& event, int32_t status);
  void settle();
  void pump(std::unique_lock<std::mutex>& lock, uint64_t until_ns);
  void call_back(std::unique_lock<std::mutex>& lock);

  const SimConfig config_;
  mutable std::mutex mutex_;
  Random random_;
  uint64_t now_ns_ = 0;
  uint64_t next_number_ = 1;
  uint64_t memory_used_ = 0;
  std::vector<DeviceState> devices_;
  std::vector<CommandPtr> running_;  ///< at most one an engine, so a plain list will do; and those without an engine
  std::deque<CommandPtr> doomed_;    ///< whose waits failed or whose device is lost: ended before the clock moves
  std::deque<std::function<void()>> callbacks_;
  bool calling_back_ = false;
  std::string build_fault_;
  std::deque<std::string> trace_;
};

}  // namespace amalgam::south::sim
