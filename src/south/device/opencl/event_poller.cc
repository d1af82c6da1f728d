// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/event_poller.h"

#include <chrono>

namespace amalgam::south::opencl {
namespace {

constexpr auto kPollInterval = std::chrono::microseconds(500);

}  // namespace

void EventPoller::watch(std::shared_ptr<Event> event, int32_t status, std::function<void(int32_t)> reached) {
  std::lock_guard lock(state_->mutex);
  state_->watches.push_back({std::move(event), status, std::move(reached)});
  if (state_->running) return;
  state_->running = true;
  std::thread([state = state_] { run(state); }).detach();
}

void EventPoller::run(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  while (!state->watches.empty()) {
    std::list<Watch> round;
    round.swap(state->watches);
    lock.unlock();
    for (auto at = round.begin(); at != round.end();) {
      int32_t now = at->event->poll().status;
      if (now > at->status) {
        ++at;
        continue;
      }
      at->reached(now < 0 ? now : at->status);
      at = round.erase(at);
    }
    lock.lock();
    state->watches.splice(state->watches.begin(), round);
    if (!state->watches.empty()) state->changed.wait_for(lock, kPollInterval);
  }
  state->running = false;
}

}  // namespace amalgam::south::opencl
