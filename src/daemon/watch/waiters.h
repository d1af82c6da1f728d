// SPDX-License-Identifier: Apache-2.0
// Waiters: connections whose question has no answer yet: what happens next, how a drain goes on.
//
//   question ─▶ try ─┬─ answered
//                    └─ nothing yet ─▶ kept ─ something has changed, and event-tell-ms since the last look ─▶ try again
//
// Whoever asks is answered once and asks again, so one who does not read has one answer in his socket and costs no more; one
// who has gone is forgotten. However much changes, everybody is looked at so often and no oftener.
//
// Threads: the loop's. Nothing blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "daemon/host/event_loop.h"

namespace amalgam::daemon {

class Waiters {
 public:
  /// Answers if there is something to say; false: there is nothing yet.
  using Try = std::function<bool()>;
  explicit Waiters(EventLoop& loop) : loop_(loop) {}
  ~Waiters() { loop_.cancel(timer_); }
  Waiters(const Waiters&) = delete;
  Waiters& operator=(const Waiters&) = delete;

  /// Now if there is something to say, else when there is.
  void ask(uint64_t connection, Try attempt);
  void changed();
  void connection_closed(uint64_t connection) { waiting_.erase(connection); }
  size_t size() const { return waiting_.size(); }

 private:
  void look();

  EventLoop& loop_;
  std::map<uint64_t, Try> waiting_;  ///< at most one of each connection
  uint64_t looked_ms_ = 0;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace amalgam::daemon
