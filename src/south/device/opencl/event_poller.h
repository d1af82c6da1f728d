// SPDX-License-Identifier: Apache-2.0
// EventPoller: sees to it that every event is told, whatever the driver does.
//
// Drivers are supposed to call back once an event is over. Seen instead: no clSetEventCallback at all; no call for events
// that had ended before the registration (oclgrind); no call for events that fail (PoCL 3.1). So everything that waits for a
// callback also stands in a list here, and one thread asks the driver about it: twenty times a second as a safety net, two
// thousand times where the driver cannot tell or something has just failed. Whoever learns it first tells it, once.
//
//   on_complete ─▶ Watch ─▶ list ─┬─▶ driver's callback, with a number ─▶ found in the list ─▶ tell
//                                 └─▶ poll ─────────────────────────────────────────────────▶ tell
//
// The driver is given a number and no pointer: it may call back late, for what the poller has told long ago, or never, and
// then nothing of ours is left behind.
//
// Cost on the path of a healthy command: one uncontended lock to join the list and one to leave it. The thread sleeps
// without end while the list is empty.
//
// Threads: any. `reached` runs on the driver's thread, the poller's, or the caller's. Lifetime: there is one, as long as the
// process, since drivers may call back as long. A watch holds its event until it is told.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
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
  /// failed and call it complete. A look after the registration tells instead.
  void begin_registering() { registering_ = std::this_thread::get_id(); }
  /// Whether there was such a call.
  bool end_registering() {
    registering_ = std::thread::id();
    return called_inside_;
  }
  /// Asked for the callback, on its thread.
  bool is_called_inside() {
    bool inside = registering_.load() == std::this_thread::get_id();
    if (inside) called_inside_ = true;
    return inside;
  }

 private:
  const int32_t status_;
  std::atomic<std::thread::id> registering_;
  bool called_inside_ = false;    ///< the registering thread's
  std::mutex mutex_;              ///< guards what tell() takes away
  std::shared_ptr<Event> event_;  ///< null: told
  std::function<void(int32_t)> reached_;
};
using WatchPtr = std::shared_ptr<Watch>;

class EventPoller {
 public:
  /// Names a watch to the driver; never used again.
  using Ticket = uint64_t;

  static EventPoller& of_process();
  EventPoller(const EventPoller&) = delete;
  EventPoller& operator=(const EventPoller&) = delete;

  Ticket add(WatchPtr watch);
  /// The driver calls back: tells the watch, if that is still to be told and the call to be believed.
  void called(Ticket ticket, int32_t status);
  /// After it has been told.
  void remove(Ticket ticket);
  /// Look often for a while: something failed, or the driver cannot tell by itself.
  void hurry();

 private:
  struct Slot {
    WatchPtr watch;
    uint32_t use = 0;  ///< how often it was taken
  };
  EventPoller() = default;
  void run();
  void look(std::unique_lock<std::mutex>& lock);
  Slot* find(Ticket ticket);
  WatchPtr take(Slot& slot);
  uint32_t place_of(const Slot& slot) const { return static_cast<uint32_t>(&slot - slots_.data()); }
  Ticket ticket_of(const Slot& slot) const { return Ticket{slot.use} << 32 | place_of(slot); }
  size_t live() const { return slots_.size() - vacant_.size(); }

  std::mutex mutex_;  ///< guards what follows
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> vacant_;
  bool running_ = false, asleep_ = false;
  int hurried_rounds_ = 0;
};

}  // namespace amalgam::south::opencl
