// SPDX-License-Identifier: Apache-2.0
#include "worker/place/wake_relay.h"

namespace amalgam::worker {

bool WakeRelay::is_worth_it(const Rest& rest) {
  if (processors_ > kFew) return false;
  if (rest.stopped) {
    since_ns_ += rest.took_ns;
    return worth_it_;
  }
  if (rest.took_ns >= kBriskNs) {
    if (worth_it_ && rest.at_work) doubt_ = kDoubt;
    worth_it_ = false;
    begin_window(rest.ended_ns);
    return false;
  }
  if (rest.at_work) ++rests_;
  const uint64_t window_ns = rest.ended_ns - since_ns_;
  if (window_ns < kWindowNs) return worth_it_;
  if (doubt_ != 0) --doubt_;
  worth_it_ = doubt_ == 0 && looks_worth_it(window_ns);
  begin_window(rest.ended_ns);
  return worth_it_;
}

bool WakeRelay::looks_worth_it(uint64_t window_ns) const {
  return rests_ >= kRests && 10 * (used_() - used_before_ns_) >= 7 * processors_ * window_ns;
}

void WakeRelay::begin_window(uint64_t now_ns) {
  since_ns_ = now_ns;
  used_before_ns_ = used_();
  rests_ = 0;
}

}  // namespace amalgam::worker
