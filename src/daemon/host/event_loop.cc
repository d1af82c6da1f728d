// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/assert.h"
#include "protocol/link/ring.h"

namespace amalgam::daemon {
namespace {

constexpr int kEventsPerTurn = 64;

}  // namespace

uint64_t monotonic_ms() { return protocol::monotonic_ns() / 1'000'000; }

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  std::unique_ptr<EventLoop> loop(new EventLoop);
  loop->epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!loop->epoll_) return fail(system_error("epoll", errno));
  loop->wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!loop->wake_) return fail(system_error("eventfd", errno));
  EventLoop* self = loop.get();
  if (auto watched = loop->watch(loop->wake_.get(), EPOLLIN, [self](uint32_t) { self->take_posted(); }); !watched)
    return std::unexpected(std::move(watched.error()));
  return loop;
}

Result<void> EventLoop::watch(int fd, uint32_t events, std::function<void(uint32_t)> ready) {
  AMALGAM_ASSERT(!watches_.contains(fd));
  epoll_event event{};
  event.events = events;
  uint64_t serial = next_serial_++;
  event.data.u64 = (serial << 32) | static_cast<uint32_t>(fd);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return fail(system_error("watch a descriptor", errno));
  watches_[fd] = std::make_shared<Watch>(Watch{std::move(ready), serial & UINT32_MAX});
  return {};
}

void EventLoop::change(int fd, uint32_t events) {
  auto found = watches_.find(fd);
  AMALGAM_ASSERT(found != watches_.end());
  epoll_event event{};
  event.events = events;
  event.data.u64 = (found->second->serial << 32) | static_cast<uint32_t>(fd);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::unwatch(int fd) {
  if (watches_.erase(fd) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::after_ms(uint64_t ms, Work work) {
  TimerId id = next_timer_++;
  timers_.emplace(monotonic_ms() + ms, Timer{id, std::move(work)});
  return id;
}

void EventLoop::cancel(TimerId timer) {
  auto found = std::find_if(timers_.begin(), timers_.end(), [&](const auto& entry) { return entry.second.id == timer; });
  if (found != timers_.end()) timers_.erase(found);
}

void EventLoop::post(Work work) {
  {
    std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(work));
  }
  uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::take_posted() {
  uint64_t count = 0;
  [[maybe_unused]] ssize_t got = ::read(wake_.get(), &count, sizeof count);
  std::lock_guard lock(posted_mutex_);
  for (Work& work : posted_) later_.push_back(std::move(work));
  posted_.clear();
}

void EventLoop::stop() {
  post([this] { stopped_ = true; });
}

int EventLoop::wait_ms() const {
  if (timers_.empty()) return -1;
  uint64_t now = monotonic_ms(), due = timers_.begin()->first;
  return due <= now ? 0 : static_cast<int>(std::min<uint64_t>(due - now, INT_MAX));
}

void EventLoop::run_timers() {
  // Only those that are due at the beginning of the turn: a timer that sets itself again with 0 ms cannot starve the rest.
  uint64_t now = monotonic_ms();
  TimerId newest = next_timer_;
  while (!timers_.empty() && timers_.begin()->first <= now && timers_.begin()->second.id < newest) {
    Work work = std::move(timers_.begin()->second.work);
    timers_.erase(timers_.begin());
    work();
  }
}

void EventLoop::run_later() {
  while (!later_.empty()) {
    std::vector<Work> batch = std::move(later_);
    later_.clear();
    for (Work& work : batch) work();
  }
}

void EventLoop::run() {
  stopped_ = false;
  while (!stopped_) {
    run_later();
    if (stopped_) break;
    epoll_event events[kEventsPerTurn];
    int n = ::epoll_wait(epoll_.get(), events, kEventsPerTurn, wait_ms());
    for (int i = 0; i < n; ++i) {
      auto found = watches_.find(static_cast<int>(static_cast<uint32_t>(events[i].data.u64)));
      if (found == watches_.end() || found->second->serial != events[i].data.u64 >> 32) continue;
      std::shared_ptr<Watch> watch = found->second;
      watch->ready(events[i].events);
    }
    run_timers();
  }
}

}  // namespace amalgam::daemon
