// SPDX-License-Identifier: Apache-2.0
// EventPoller: sees to it that every event is told, whatever the driver does.
//
// Drivers are supposed to call back once an event is over. Seen instead: no clSetEventCallback at all; no call for events
// that had ended before the registration (oclgrind); no call for events that fail (PoCL 3.1). So everything that waits for a
// callback also stands in a list here, and one thread asks the driver about it: twenty times a second as a safety net, two
// thousand times where the driver cannot tell or something has just failed. Whoever learns it first tells it, once.
//
//   on_complete ─▶ Watch ─┬─▶ driver's callback ─▶ tell ─▶ forget
//                         └─▶ list ─▶ poll ──────▶ tell
//
// Cost on the path of a healthy command: one uncontended lock to join the list and one to leave it. The thread sleeps
// without end while the list is empty.
//
// Threads: any. `reached` runs on the driver's thread, the poller's, or the caller's. Lifetime: a watch holds its event
// until it is told. The thread owns the state, because the last event, and with it this object, may die on that very thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "south/device/device.h"

namespace amalgam::south::opencl {

/// One wish to be told when an event reaches a status (numbers fall: queued 3 … complete 0, errors < 0).
class Watch {
 public:
  Watch(std::shared_ptr<Event> event, int32_t status, std::function<void(int32_t)> reached)
      : status_(status), event_(std::move(event)), reached_(std::move(reached)) {}

  /// Tells, if nobody has.
  void tell(int32_t now);
  /// Asks the driver, and tells if it is time. True if the watch has been told, by whomever.
  bool look();
  int32_t status() const { return status_; }

  /// While the registering thread is inside the driver, its own callback is not believed: it may come for an event that has
  /// failed and call it complete. A look after the registration tells instead. Returns whether there was such a call.
  bool set_registering(bool inside) {
    registering_ = inside ? std::this_thread::get_id() : std::thread::id();
    return std::exchange(called_inside_, false);
  }
  /// Asked by the callback.
  bool is_called_inside() {
    bool inside = registering_.load() == std::this_thread::get_id();
    if (inside) called_inside_ = true;
    return inside;
  }

 private:
  friend class EventPoller;

  const int32_t status_;
  std::atomic<std::thread::id> registering_;
  bool called_inside_ = false;    ///< the registering thread's
  std::mutex mutex_;              ///< guards what tell() takes away
  std::shared_ptr<Event> event_;  ///< null: told
  std::function<void(int32_t)> reached_;
  size_t place_ = SIZE_MAX;  ///< in the poller's list
};
using WatchPtr = std::shared_ptr<Watch>;

class EventPoller {
 public:
  EventPoller() = default;
  ~EventPoller();
  EventPoller(const EventPoller&) = delete;
  EventPoller& operator=(const EventPoller&) = delete;

  void add(const WatchPtr& watch);
  /// After it has been told.
  void remove(Watch& watch);
  /// Look often for a while: something failed, or the driver cannot tell by itself.
  void hurry();

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<WatchPtr> watches;
    bool running = false, asleep = false, stop = false;
    int hurried_rounds = 0;
  };
  static void run(const std::shared_ptr<State>& state);
  static void look(State& state, std::unique_lock<std::mutex>& lock);
  static void remove_from(State& state, Watch& watch);

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace amalgam::south::opencl
