// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/event_poller.h"

#include <algorithm>
#include <chrono>

namespace amalgam::south::opencl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kCalm = std::chrono::milliseconds(50);
constexpr auto kHurried = std::chrono::microseconds(500);
constexpr int kHurriedRounds = 200;
constexpr int kMaxShare = 50;  // of a processor's time, one part in this many

}  // namespace

void Watch::tell(int32_t now) {
  std::shared_ptr<Event> event;
  std::function<void(int32_t)> reached;
  {
    std::lock_guard lock(mutex_);
    event.swap(event_);
    reached.swap(reached_);
  }
  if (event != nullptr) reached(now);
}

bool Watch::look() {
  std::shared_ptr<Event> event;
  {
    std::lock_guard lock(mutex_);
    event = event_;
  }
  if (event == nullptr) return true;
  const int32_t now = event->poll().status;
  if (now > status_) return false;
  tell(now < 0 ? now : status_);
  return true;
}

EventPoller::~EventPoller() {
  std::lock_guard lock(state_->mutex);
  state_->stop = true;
  state_->changed.notify_one();
}

void EventPoller::add(const WatchPtr& watch) {
  std::lock_guard lock(state_->mutex);
  watch->place_ = state_->watches.size();
  state_->watches.push_back(watch);
  if (!state_->running) {
    state_->running = true;
    std::thread([state = state_] { run(state); }).detach();
  } else if (state_->asleep) {
    state_->changed.notify_one();
  }
}

void EventPoller::remove(Watch& watch) {
  std::lock_guard lock(state_->mutex);
  remove_from(*state_, watch);
}

void EventPoller::hurry() {
  std::lock_guard lock(state_->mutex);
  state_->hurried_rounds = kHurriedRounds;
  state_->changed.notify_one();
}

void EventPoller::remove_from(State& state, Watch& watch) {
  if (watch.place_ >= state.watches.size()) return;
  WatchPtr& hole = state.watches[watch.place_];
  state.watches.back()->place_ = watch.place_;
  watch.place_ = SIZE_MAX;
  std::swap(hole, state.watches.back());
  state.watches.pop_back();
}

/// One look at everything, without the lock: a watch that is told meanwhile is told once all the same.
void EventPoller::look(State& state, std::unique_lock<std::mutex>& lock) {
  std::vector<WatchPtr> watches = state.watches;
  lock.unlock();
  for (const WatchPtr& watch : watches) {
    if (!watch->look()) continue;
    lock.lock();
    remove_from(state, *watch);
    lock.unlock();
  }
  // The last reference to an event, and by it to the poller, may go here: not under the lock.
  watches.clear();
  lock.lock();
}

void EventPoller::run(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  Clock::duration cost{};
  while (!state->stop) {
    // Woken by the first watch only: most commands end before a look is worth it, and must not pay for a wake-up each.
    state->asleep = true;
    state->changed.wait(lock, [&] { return state->stop || !state->watches.empty(); });
    state->asleep = false;
    const bool hurried = state->hurried_rounds > 0;
    if (hurried) --state->hurried_rounds;
    const Clock::duration pause = hurried ? Clock::duration(kHurried) : Clock::duration(kCalm);
    state->changed.wait_for(lock, std::max(pause, cost * kMaxShare),
                            [&] { return state->stop || (!hurried && state->hurried_rounds > 0); });
    const auto begin = Clock::now();
    if (!state->stop && !state->watches.empty()) look(*state, lock);
    cost = Clock::now() - begin;
  }
}

}  // namespace amalgam::south::opencl
