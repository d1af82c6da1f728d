// SPDX-License-Identifier: Apache-2.0
#include "south/device/sim/world.h"

#include <algorithm>
#include <limits>

#include "south/device/sim/event.h"

namespace amalgam::south {

std::shared_ptr<SimController> make_sim_controller(const SimConfig& config) { return std::make_shared<sim::World>(config); }

namespace sim {
namespace {

constexpr size_t kMaxTrace = 1u << 16;
constexpr uint64_t kForever = std::numeric_limits<uint64_t>::max();

}  // namespace

World::World(const SimConfig& config) : config_(config), random_(config.seed), devices_(std::max(config.devices, 1u)) {}

World::~World() {
  // Whatever still runs is told that it will not end.
  for (uint32_t device = 0; device < devices_.size(); ++device) lose_device(device);
}

// ---- time
// -----------------------------------------------------------------------------------------------------------------

uint64_t World::now_ns() const {
  std::lock_guard lock(mutex_);
  return now_ns_;
}

bool World::step() {
  std::unique_lock lock(mutex_);
  bool moved = step_locked(kForever);
  call_back(lock);
  return moved;
}

void World::advance(uint64_t ns) {
  std::unique_lock lock(mutex_);
  const uint64_t until = now_ns_ + ns;
  pump(lock, until);
  now_ns_ = std::max(now_ns_, until);
}

void World::run() {
  std::unique_lock lock(mutex_);
  pump(lock, kForever);
}

void World::pump(std::unique_lock<std::mutex>& lock, uint64_t until_ns) {
  do {
    while (step_locked(until_ns)) {
    }
    call_back(lock);
    // Callbacks may have given the clock new work; with another thread calling back, that thread comes round again.
  } while (!calling_back_ && step_locked(until_ns));
}

void World::call_back(std::unique_lock<std::mutex>& lock) {
  if (calling_back_) return;
  calling_back_ = true;
  while (!callbacks_.empty()) {
    if (config_.shuffle_callbacks) std::swap(callbacks_.front(), callbacks_[random_.below(callbacks_.size())]);
    auto callback = std::move(callbacks_.front());
    callbacks_.pop_front();
    lock.unlock();
    callback();
    callback = nullptr;
    lock.lock();
  }
  calling_back_ = false;
}

/// Ends the doomed, starts what can start, then ends what ends first, if it ends by `until_ns`.
bool World::step_locked(uint64_t until_ns) {
  settle();
  const bool started = start_all();
  auto first = std::min_element(running_.begin(), running_.end(), [](const CommandPtr& a, const CommandPtr& b) {
    return std::pair(a->end_ns, a->number) < std::pair(b->end_ns, b->number);
  });
  if (first == running_.end() || (*first)->hung || (*first)->end_ns > until_ns) return started;
  CommandPtr command = *first;
  now_ns_ = std::max(now_ns_, command->end_ns);
  end(command, command->effect ? command->effect() : CL_COMPLETE);
  settle();
  return true;
}

// ---- commands
// ---------------------------------------------------------------------------------------------------------------

void World::submit(const CommandPtr& command, Waits waits, const std::vector<std::shared_ptr<SimEvent>>& after) {
  std::lock_guard lock(mutex_);
  command->number = next_number_++;
  command->event->times_.queued = now_ns_;
  auto depend = [&](SimEvent& event, bool inherits) {
    if (event.status_ > CL_COMPLETE) {
      ++command->unmet;
      event.dependents_.push_back({command, inherits});
    } else if (event.status_ < 0 && inherits) {
      command->inherited = CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
    }
  };
  for (Event* event : waits) depend(static_cast<SimEvent&>(*event), true);
  for (const auto& event : after) depend(*event, false);
}

void World::flush(const std::vector<CommandPtr>& commands) {
  std::unique_lock lock(mutex_);
  for (const CommandPtr& command : commands) {
    if (command->flushed) continue;
    command->flushed = true;
    command->event->times_.submitted = now_ns_;
    reach(*command->event, CL_SUBMITTED);
    if (command->unmet == 0) make_ready(command);
  }
  if (config_.manual)
    call_back(lock);
  else
    pump(lock, kForever);
}

void World::make_ready(const CommandPtr& command) {
  DeviceState& device = devices_[command->device];
  if (device.lost) command->inherited = CL_DEVICE_NOT_AVAILABLE;
  if (command->inherited != 0)
    doomed_.push_back(command);
  else
    device.ready[static_cast<size_t>(command->engine)].push_back(command);
}

/// Ends what cannot run; each end may doom others, so until there are none.
void World::settle() {
  while (!doomed_.empty()) {
    CommandPtr command = doomed_.front();
    doomed_.pop_front();
    end(command, command->inherited);
  }
}

bool World::start_all() {
  bool started = false;
  for (DeviceState& device : devices_) {
    for (size_t engine = 0; engine < 3; ++engine) {
      auto& ready = device.ready[engine];
      while (!ready.empty() && (engine == 2 || device.busy[engine] == nullptr)) {
        size_t pick = random_.below(ready.size());
        CommandPtr command = ready[pick];
        ready.erase(ready.begin() + static_cast<ptrdiff_t>(pick));
        if (engine != 2) device.busy[engine] = command;
        start(device, command);
        started = true;
      }
    }
  }
  return started;
}

void World::start(DeviceState& device, const CommandPtr& command) {
  const uint64_t spread = command->duration_ns * config_.jitter_percent / 100;
  command->started = true;
  command->end_ns = now_ns_ + command->duration_ns + random_.below(spread + 1);
  if (auto hang = std::find(device.to_hang.begin(), device.to_hang.end(), command->kernel); hang != device.to_hang.end()) {
    device.to_hang.erase(hang);
    command->hung = true;
    command->end_ns = kForever;
  }
  command->event->times_.started = now_ns_;
  reach(*command->event, CL_RUNNING);
  running_.push_back(command);
}

void World::end(const CommandPtr& command, int32_t status) {
  if (command->ended) return;
  command->ended = true;
  std::erase(running_, command);
  DeviceState& device = devices_[command->device];
  for (CommandPtr& busy : device.busy) {
    if (busy == command) busy = nullptr;
  }
  // What the effect holds may give memory back, which takes the mutex: let go of it where callbacks run.
  callbacks_.push_back([husk = std::move(command->effect)] {});
  command->effect = nullptr;
  SimEvent& event = *command->event;
  if (!command->started) event.times_.started = now_ns_;
  event.times_.ended = now_ns_;
  trace_.push_back(std::to_string(now_ns_) + " " + command->label + " " + std::to_string(status));
  if (trace_.size() > kMaxTrace) trace_.pop_front();
  complete(event, status);
}

// ---- events
// -----------------------------------------------------------------------------------------------------------------

void World::complete(SimEvent& event, int32_t status) {
  reach(event, status);
  auto dependents = std::move(event.dependents_);
  event.dependents_.clear();
  for (auto& dependent : dependents) {
    Command& command = *dependent.command;
    if (status < 0 && dependent.inherits_failure) command.inherited = CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
    if (--command.unmet == 0 && command.flushed && !command.ended) make_ready(dependent.command);
  }
}

void World::reach(SimEvent& event, int32_t status) {
  event.status_ = status;
  for (auto at = event.watches_.begin(); at != event.watches_.end();) {
    if (status > at->status) {
      ++at;
      continue;
    }
    Outcome outcome{status < 0 ? status : at->status, event.times_};
    callbacks_.push_back([self = event.shared_from_this(), reached = std::move(at->reached), outcome] { reached(outcome); });
    at = event.watches_.erase(at);
  }
}

Result<void> World::signal(SimEvent& event, int32_t status) {
  if (!event.is_user_) return refuse("signal: not a user event", CL_INVALID_EVENT);
  if (status > CL_COMPLETE) return refuse("signal: not an end", CL_INVALID_VALUE);
  std::unique_lock lock(mutex_);
  if (event.status_ <= CL_COMPLETE) return refuse("signal: already set", CL_INVALID_OPERATION);
  complete(event, status);
  if (config_.manual)
    call_back(lock);
  else
    pump(lock, kForever);
  return {};
}

void World::watch(SimEvent& event, int32_t status, std::function<void(const Outcome&)> reached) {
  std::unique_lock lock(mutex_);
  if (event.status_ > status) {
    event.watches_.push_back({status, std::move(reached)});
    return;
  }
  Outcome outcome{event.status_ < 0 ? event.status_ : status, event.times_};
  lock.unlock();
  reached(outcome);
}

Outcome World::outcome(const SimEvent& event) const {
  std::lock_guard lock(mutex_);
  Outcome outcome{event.status_, {}};
  if (event.status_ <= CL_COMPLETE) outcome.times = event.times_;
  return outcome;
}

bool World::is_over(const SimEvent& event) const {
  std::lock_guard lock(mutex_);
  return event.status_ <= CL_COMPLETE;
}

}  // namespace sim
}  // namespace amalgam::south
