// SPDX-License-Identifier: Apache-2.0
// Allowance: how much somebody may still do now. They come back at a steady rate, up to what may be saved for a burst.
//
// What is done may cost more than there is: the balance goes below zero, and nothing more is to be done until it is paid.
//
// Threads: a plain value; time comes in.
#pragma once

#include <algorithm>
#include <cstdint>

namespace amalgam::daemon {

class Allowance {
 public:
  /// Full at first. `per_second` of them come back, `most` are saved.
  Allowance(uint64_t per_second, uint64_t most)
      : per_second_(static_cast<int64_t>(per_second)), most_(static_cast<int64_t>(most) * kMsPerSecond), balance_(most_) {}

  /// How many there are; 0 also where some are owed.
  uint64_t there(uint64_t now_ms) {
    balance_ = balance_at(now_ms);
    refilled_ms_ = now_ms;
    return balance_ <= 0 ? 0 : static_cast<uint64_t>(balance_ / kMsPerSecond);
  }
  void spend(uint64_t count) { balance_ -= static_cast<int64_t>(count) * kMsPerSecond; }
  bool full(uint64_t now_ms) const { return balance_at(now_ms) == most_; }

 private:
  static constexpr int64_t kMsPerSecond = 1000;
  static constexpr uint64_t kLongMs = 3'600'000;
  int64_t balance_at(uint64_t now_ms) const {
    const uint64_t passed_ms = now_ms > refilled_ms_ ? std::min(now_ms - refilled_ms_, kLongMs) : 0;
    return std::min(most_, balance_ + static_cast<int64_t>(passed_ms) * per_second_);
  }

  int64_t per_second_, most_;
  int64_t balance_;  ///< in thousandths
  uint64_t refilled_ms_ = 0;
};

}  // namespace amalgam::daemon
