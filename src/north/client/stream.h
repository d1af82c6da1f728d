// SPDX-License-Identifier: Apache-2.0
// Stream: the client's record of one command queue: how much was sent, how much is known to have completed.
//
// For in-order streams `idle()` means that whatever the calling thread does now comes after everything enqueued before; then
// copies between program memory and shared regions need no worker. Hold `mutex` across the check and the copy, and across
// every enqueue, so that no other thread's command slips in between.
//
// What the worker says of its progress is believed up to `sent` and no further.
//
// Threads: `sent` is written, and `barrier` is used, under `mutex`; `retired` is written by whoever drains completions, who
// reads `sent`.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "north/client/event.h"
#include "north/client/ids.h"

namespace amalgam::client {

class Stream : public Tracked {
 public:
  explicit Stream(Session* s) : Tracked(TrackedKind::kStream), session(s) {}

  bool idle() const { return in_order && retired.load(std::memory_order_acquire) >= sent.load(std::memory_order_relaxed); }
  /// How many that were not known to be.
  uint64_t retire(uint64_t number) {
    uint64_t known = retired.load(std::memory_order_relaxed);
    while (known < number && !retired.compare_exchange_weak(known, number, std::memory_order_release)) {
    }
    return number - std::min(number, known);
  }
  uint64_t under_way() const {
    const uint64_t done = retired.load(std::memory_order_acquire), all = sent.load(std::memory_order_relaxed);
    return all - std::min(all, done);
  }

  /// Whether so many commands have been sent, or are on their way.
  bool has_sent(uint64_t number) const { return number <= sent.load(std::memory_order_acquire); }
  void note_end(uint64_t ended) {
    uint64_t known = last_ended.load(std::memory_order_relaxed);
    while (known < ended && !last_ended.compare_exchange_weak(known, ended, std::memory_order_relaxed)) {
    }
  }

  Session* session;
  protocol::ObjectId id = 0;
  bool in_order = true;
  std::mutex mutex;
  std::atomic<uint64_t> sent{0};        ///< enqueues given to the worker; each takes the next number, before it can be seen
  std::atomic<uint64_t> retired{0};     ///< in-order: all up to this number are complete
  std::atomic<uint64_t> last_ended{0};  ///< latest end that an event of ours has shown, in the device's clock
  Event* barrier = nullptr;             ///< out-of-order: the last barrier, retained; null if none is pending
};

}  // namespace amalgam::client
