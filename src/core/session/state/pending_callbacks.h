// SPDX-License-Identifier: Apache-2.0
// PendingCallbacks: how many callbacks of the driver's will still use the session, so that its end can wait for them.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace amalgam::core {

class PendingCallbacks {
 public:
  /// Counts one from now until the last copy of the result is gone: with the callback, run or dropped.
  std::shared_ptr<void> one() {
    count_.fetch_add(1, std::memory_order_relaxed);
    return {nullptr, [this](void*) { count_.fetch_sub(1, std::memory_order_release); }};
  }
  bool any() const { return count_.load(std::memory_order_acquire) != 0; }

 private:
  std::atomic<uint64_t> count_{0};
};

}  // namespace amalgam::core
