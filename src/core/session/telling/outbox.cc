// SPDX-License-Identifier: Apache-2.0
#include "core/session/telling/outbox.h"

#include <cstring>

namespace amalgam::core {

bool Outbox::flush() {
  bool empty;
  {
    std::lock_guard lock(mutex_);
    if (held_) return false;
    while (!waiting_.empty()) {
      Waiting& next = waiting_.front();
      std::span<std::byte> room = ring_.reserve(next.payload.size());
      if (room.data() == nullptr) break;
      if (!next.payload.empty()) std::memcpy(room.data(), next.payload.data(), next.payload.size());
      commit(next.call, next.told, next.payload.size());
      waiting_.pop_front();
    }
    empty = waiting_.empty();
    if (empty) congested_.store(false, std::memory_order_release);
  }
  ring_.wake();
  return empty;
}

bool Outbox::broken() {
  std::lock_guard lock(mutex_);
  return ring_.broken();
}

size_t Outbox::waiting() {
  std::lock_guard lock(mutex_);
  return waiting_.size();
}

}  // namespace amalgam::core
