// SPDX-License-Identifier: Apache-2.0
#include "worker/perch.h"

#include <algorithm>
#include <utility>

#include "worker/affinity.h"

namespace amalgam::worker {

void Perch::follow() {
  std::lock_guard lock(mutex_);
  if (following_.exchange(true)) return;
  free();
}

void Perch::stay(int processor) {
  std::lock_guard lock(mutex_);
  following_ = false;
  bind(processor);
}

bool Perch::has_followed() const {
  return following_.load(std::memory_order_relaxed) && at_.load(std::memory_order_relaxed) != kAnywhere;
}

void Perch::rest_begins() {
  if (!following_.load(std::memory_order_relaxed)) return;
  resting_since_ns_ = now_();
  if (has_followed() && resting_since_ns_ - awake_since_ns_ >= kLongNs) leave();
}

void Perch::builds() { leave(); }

void Perch::leave() {
  times_ = 0;
  if (!has_followed()) return;
  std::lock_guard lock(mutex_);
  if (following_) free();
}

void Perch::rest_ends(std::optional<unsigned> processor) {
  if (!following_.load(std::memory_order_relaxed)) return;
  awake_since_ns_ = now_();
  if (awake_since_ns_ - resting_since_ns_ >= kLongNs) leave();
  if (!processor || *processor >= CPU_SETSIZE || !CPU_ISSET(*processor, &all_)) {
    if (++strangers_ >= kSettle) leave();
    return;
  }
  strangers_ = 0;
  const int from = static_cast<int>(*processor);
  const bool again = std::exchange(candidate_, from) == from;
  times_ = again ? times_ + 1 : 1;
  if (times_ < kSettle || from == at_.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(mutex_);
  if (following_) bind(from);
}

void Perch::bind(int processor) {
  if (at_ == kAnywhere) before_ = thread_ids();
  if (place(dispatcher_, only(processor))) at_ = processor;
}

void Perch::free() {
  if (at_.exchange(kAnywhere) == kAnywhere) return;
  (void)place(dispatcher_, all_);
  for (pid_t thread : thread_ids())
    if (!std::ranges::binary_search(before_, thread) && is_bound(thread)) (void)place(thread, all_);
}

}  // namespace amalgam::worker
