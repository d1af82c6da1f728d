// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/event_poller.h"

#include <algorithm>
#include <chrono>
#include <utility>

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

EventPoller& EventPoller::of_process() {
  static auto& poller = *new EventPoller;
  return poller;
}

EventPoller::Ticket EventPoller::add(WatchPtr watch) {
  std::lock_guard lock(mutex_);
  if (vacant_.empty()) {
    vacant_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  Slot& slot = slots_[vacant_.back()];
  vacant_.pop_back();
  slot.watch = std::move(watch);
  ++slot.use;
  if (!running_) {
    running_ = true;
    std::thread([this] { run(); }).detach();
  } else if (asleep_) {
    changed_.notify_one();
  }
  return ticket_of(slot);
}

void EventPoller::called(Ticket ticket, int32_t status) {
  WatchPtr watch;
  {
    std::lock_guard lock(mutex_);
    Slot* slot = find(ticket);
    if (slot == nullptr || slot->watch->is_called_inside()) return;
    watch = take(*slot);
  }
  watch->tell(status);
}

void EventPoller::remove(Ticket ticket) {
  WatchPtr watch;  // its end may be that of much else: not under the lock
  std::lock_guard lock(mutex_);
  if (Slot* slot = find(ticket)) watch = take(*slot);
}

void EventPoller::hurry() {
  std::lock_guard lock(mutex_);
  hurried_rounds_ = kHurriedRounds;
  changed_.notify_one();
}

EventPoller::Slot* EventPoller::find(Ticket ticket) {
  Slot& slot = slots_[static_cast<uint32_t>(ticket)];
  return slot.watch != nullptr && slot.use == ticket >> 32 ? &slot : nullptr;
}

WatchPtr EventPoller::take(Slot& slot) {
  vacant_.push_back(place_of(slot));
  return std::move(slot.watch);
}

/// One look at everything, without the lock: a watch that is told meanwhile is told once all the same.
void EventPoller::look(std::unique_lock<std::mutex>& lock) {
  std::vector<std::pair<Ticket, WatchPtr>> watches;
  watches.reserve(live());
  for (const Slot& slot : slots_)
    if (slot.watch != nullptr) watches.emplace_back(ticket_of(slot), slot.watch);
  lock.unlock();
  for (const auto& [ticket, watch] : watches)
    if (watch->look()) remove(ticket);
  watches.clear();
  lock.lock();
}

void EventPoller::run() {
  std::unique_lock lock(mutex_);
  Clock::duration cost{};
  for (;;) {
    // Woken by the first watch only: most commands end before a look is worth it, and must not pay for a wake-up each.
    asleep_ = true;
    changed_.wait(lock, [&] { return live() != 0; });
    asleep_ = false;
    const bool hurried = hurried_rounds_ > 0;
    if (hurried) --hurried_rounds_;
    const Clock::duration pause = hurried ? Clock::duration(kHurried) : Clock::duration(kCalm);
    changed_.wait_for(lock, std::max(pause, cost * kMaxShare), [&] { return !hurried && hurried_rounds_ > 0; });
    const auto begin = Clock::now();
    look(lock);
    cost = Clock::now() - begin;
  }
}

}  // namespace amalgam::south::opencl
