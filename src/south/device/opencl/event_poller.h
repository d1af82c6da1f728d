// SPDX-License-Identifier: Apache-2.0
// EventPoller: for drivers whose clSetEventCallback is missing or fails. One thread asks the watched events for their status
// about a thousand times a second; it exists only while something is watched.
//
// Threads: watch() from any. `reached` runs on the poller's thread. Lifetime: events are held until they are told; the thread
// owns the state, because the last event, and with it this object, may die on that very thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "south/device/device.h"

namespace amalgam::south::opencl {

class EventPoller {
 public:
  EventPoller() = default;
  EventPoller(const EventPoller&) = delete;
  EventPoller& operator=(const EventPoller&) = delete;

  /// Calls `reached` once, when the event's status is `status` or beyond (numbers fall: queued 3 … complete 0, errors < 0).
  void watch(std::shared_ptr<Event> event, int32_t status, std::function<void(int32_t)> reached);

 private:
  struct Watch {
    std::shared_ptr<Event> event;
    int32_t status;
    std::function<void(int32_t)> reached;
  };
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::list<Watch> watches;
    bool running = false;
  };
  static void run(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace amalgam::south::opencl
