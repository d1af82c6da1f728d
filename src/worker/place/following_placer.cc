// SPDX-License-Identifier: Apache-2.0
#include "worker/place/following_placer.h"

#include <algorithm>
#include <utility>

#include "worker/place/affinity.h"

namespace amalgam::worker {

void FollowingPlacer::follow() {
  std::lock_guard lock(mutex_);
  if (following_.exchange(true)) return;
  free();
}

void FollowingPlacer::stay(int processor) {
  std::lock_guard lock(mutex_);
  following_ = false;
  relay(false);
  bind(processor);
}

bool FollowingPlacer::has_followed() const {
  return following_.load(std::memory_order_relaxed) && at_.load(std::memory_order_relaxed) != kAnywhere;
}

uint64_t FollowingPlacer::rest_begins(uint64_t in_flight) {
  if (!following_.load(std::memory_order_relaxed)) return UINT64_MAX;
  resting_since_ns_ = now_();
  was_at_work_ = in_flight != 0;
  if (has_followed() && resting_since_ns_ - awake_since_ns_ >= kLongNs) leave();
  return relays() && in_flight == 0 ? WakeRelay::kWindowNs : UINT64_MAX;
}

void FollowingPlacer::builds() {
  leave();
  if (!relays()) return;
  std::lock_guard lock(mutex_);
  relay(false);
}

void FollowingPlacer::leave() {
  times_ = 0;
  if (!has_followed()) return;
  std::lock_guard lock(mutex_);
  if (following_) free();
}

void FollowingPlacer::rest_ends(std::optional<unsigned> processor, bool stopped) {
  if (!following_.load(std::memory_order_relaxed)) return;
  awake_since_ns_ = now_();
  const uint64_t rested_ns = awake_since_ns_ - resting_since_ns_;
  if (rested_ns >= kLongNs) leave();
  const bool wanted = relay_.is_worth_it({awake_since_ns_, rested_ns, was_at_work_, stopped});
  if (wanted != relays()) {
    std::lock_guard lock(mutex_);
    relay(wanted && following_);
  }
  if (relays()) return;
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

void FollowingPlacer::relay(bool yes) {
  if (relays() == yes || !may_interrupt(dispatcher_, !yes)) return;
  relays_ = yes;
  if (yes) free();
}

void FollowingPlacer::bind(int processor) {
  if (at_ == kAnywhere) before_ = thread_ids();
  if (place(dispatcher_, only(processor))) at_ = processor;
}

void FollowingPlacer::free() {
  if (at_.exchange(kAnywhere) == kAnywhere) return;
  (void)place(dispatcher_, all_);
  for (pid_t thread : thread_ids())
    if (!std::ranges::binary_search(before_, thread) && is_bound(thread)) (void)place(thread, all_);
}

}  // namespace amalgam::worker
