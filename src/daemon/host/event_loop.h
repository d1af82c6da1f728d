// SPDX-License-Identifier: Apache-2.0
// EventLoop: one thread that waits for descriptors, timers and work from other threads, and calls whoever asked.
//
// Nothing that it calls may block. While nothing happens it sleeps in epoll without a timeout: an idle daemon has no
// wake-ups.
//
// Threads: everything belongs to the thread of run(), except post() and stop(). Lifetime: a callback may remove any watch or
// timer, its own included; what is removed is not called any more, also not in the same turn.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace amalgam::daemon {

class EventLoop {
 public:
  using TimerId = uint64_t;  ///< 0: none
  using Work = std::function<void()>;

  static Result<std::unique_ptr<EventLoop>> create();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Calls `ready(events)` (EPOLL*) whenever the descriptor is so. It must be unwatched before it is closed.
  Result<void> watch(int fd, uint32_t events, std::function<void(uint32_t)> ready);
  /// Changes which events are waited for; EPOLLHUP and EPOLLERR always are.
  void change(int fd, uint32_t events);
  void unwatch(int fd);

  TimerId after_ms(uint64_t ms, Work work);
  /// Does nothing for a timer that has run or never was.
  void cancel(TimerId timer);

  /// Runs `work` after the present callback, in this thread.
  void later(Work work) { later_.push_back(std::move(work)); }
  /// The same from any thread.
  void post(Work work);

  /// Until stop().
  void run();
  void stop();

 private:
  struct Watch {
    std::function<void(uint32_t)> ready;
    uint64_t serial;  ///< tells a watch from an earlier one of the same descriptor number
  };
  struct Timer {
    TimerId id;
    Work work;
  };
  EventLoop() = default;
  int wait_ms() const;
  void run_timers();
  void run_later();
  void take_posted();

  UniqueFd epoll_, wake_;
  std::unordered_map<int, std::shared_ptr<Watch>> watches_;
  std::multimap<uint64_t, Timer> timers_;  ///< by monotonic ms
  std::vector<Work> later_;
  uint64_t next_serial_ = 1, next_timer_ = 1;
  bool stopped_ = false;
  std::mutex posted_mutex_;
  std::vector<Work> posted_;
};

/// CLOCK_MONOTONIC in milliseconds.
uint64_t monotonic_ms();

}  // namespace amalgam::daemon
