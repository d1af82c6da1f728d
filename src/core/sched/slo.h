// SPDX-License-Identifier: Apache-2.0
// SloController: finds the share that keeps a slice's launches under its latency goal, and says when none does.
// LatencySketch: the latencies of one window (model/latency.h), in 2.6 KiB.
//
// A window of launches misses the goal clearly if more are late than the goal allows plus two standard deviations of that
// number; then the share rises, by the ratio of measured to asked, 1.1 to 2 times. It falls by a twentieth after
// kCalmWindows windows in a row whose quantile is below kCalmPart of the bound. Between the two it stays: a goal that is met
// by a hair is met. A window that shows neither goes on, so a slice with few launches is judged later, not worse.
//
// It cannot: at the most that admission leaves, the goal is still missed; or kVainRaises raises in a row did not make the
// quantile smaller by a tenth together, so it is not for lack of share (the launch alone may be longer than the bound). It
// then keeps the share, says so at each window, and goes on looking.
//
// Threads: plain values. Pure: the caller calls update() now and then, about once a second, and sets the terms.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/sched/shares.h"
#include "model/latency.h"

namespace amalgam::core {

class LatencySketch {
 public:
  void add(uint64_t ns, uint32_t times = 1);
  void clear() { *this = {}; }
  uint64_t count() const { return count_; }
  uint64_t most_ns() const { return most_ns_; }
  /// The smallest bucket's upper edge that `quantile_ppm` of the latencies are not above; 0 without latencies.
  uint64_t quantile_ns(uint32_t quantile_ppm) const;

 private:
  std::array<uint32_t, model::kLatencyBuckets> buckets_{};
  uint64_t count_ = 0, most_ns_ = 0;
};

enum class SloState : uint8_t { kLearning, kHolds, kRaised, kLowered, kCannot };

struct SloVerdict {
  SloState state = SloState::kLearning;
  uint32_t share_ppm = 0;  ///< what the slice's share should be now
  uint64_t measured_ns = 0;
  std::string reason;  ///< kCannot: a sentence
};

class SloController {
 public:
  static constexpr uint32_t kCalmWindows = 4;
  static constexpr uint64_t kCalmPart = 600'000;  ///< ppm of the bound
  static constexpr uint32_t kVainRaises = 4;
  static constexpr uint64_t kWindowMisses = 5;  ///< a full window would have so many late launches at the goal's edge

  explicit SloController(const Slo& slo) : slo_(slo) {}
  void observe(uint64_t latency_ns, uint32_t times = 1);
  uint64_t observed() const { return window_.count(); }
  /// `share_ppm`: its share now; `most_ppm`: the largest that admission and its cap would allow.
  SloVerdict update(uint32_t share_ppm, uint32_t most_ppm);

 private:
  bool clearly_missed() const;
  SloVerdict raise(uint32_t share_ppm, uint32_t most_ppm);
  SloVerdict close(SloState state, uint32_t share_ppm, std::string reason = {});

  Slo slo_;
  LatencySketch window_;
  uint64_t late_ = 0;
  uint32_t calm_ = 0, raises_ = 0;
  uint64_t before_raises_ns_ = 0;  ///< the quantile when the present row of raises began
};

}  // namespace amalgam::core
