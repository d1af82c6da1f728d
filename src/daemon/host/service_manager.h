// SPDX-License-Identifier: Apache-2.0
// ServiceManager: tells whoever started the daemon (systemd) that it is ready, that it ends, and, where a watchdog is
// wanted, that its loop still turns.
//
//   NOTIFY_SOCKET    a datagram socket: READY=1, WATCHDOG=1, STOPPING=1
//   WATCHDOG_USEC    a daemon that has not said WATCHDOG=1 for so long is killed and started anew; it is said twice as often
//   WATCHDOG_PID     whom that is for
//
// A watchdog costs an idle daemon two wake-ups in each of its periods; without one there are none.
//
// Threads: the loop's. Nothing blocks: a socket that takes nothing is not waited for.
#pragma once

#include <cstdint>
#include <string>

#include "daemon/host/event_loop.h"

namespace amalgam::daemon {

class ServiceManager {
 public:
  /// As the environment says.
  explicit ServiceManager(EventLoop& loop);
  ~ServiceManager() { loop_.cancel(timer_); }
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  void ready();
  void stopping();

 private:
  void say(const char* text) const;
  void feed();

  EventLoop& loop_;
  std::string socket_;      ///< a path, or '@' and an abstract name; empty: nobody wants to hear anything
  uint64_t period_ms_ = 0;  ///< of the watchdog's feeding; 0: there is none
  EventLoop::TimerId timer_ = 0;
};

}  // namespace amalgam::daemon
