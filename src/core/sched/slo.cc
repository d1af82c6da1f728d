// SPDX-License-Identifier: Apache-2.0
#include "core/sched/slo.h"

#include <algorithm>
#include <cmath>

#include "base/limits.h"

namespace amalgam::core {
namespace {

constexpr uint32_t kFirstSharePpm = 50'000;  ///< where the search begins for a slice without a share

}  // namespace

void LatencySketch::add(uint64_t ns, uint32_t times) {
  count_ += times;
  most_ns_ = std::max(most_ns_, ns);
  buckets_[model::latency_bucket(ns)] += times;
}

uint64_t LatencySketch::quantile_ns(uint32_t quantile_ppm) const {
  if (count_ == 0) return 0;
  uint64_t wanted = (count_ * quantile_ppm + kWholePpm - 1) / kWholePpm, seen = 0;
  for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted && seen != 0) return std::min(model::latency_edge_ns(bucket), most_ns_);
  }
  return most_ns_;
}

void SloController::observe(uint64_t latency_ns, uint32_t times) {
  if (times == 0) return;
  window_.add(latency_ns, times);
  if (latency_ns > slo_.bound_ns) late_ += times;
}

bool SloController::clearly_missed() const {
  double allowed = static_cast<double>(window_.count()) * (kWholePpm - slo_.quantile_ppm) / kWholePpm;
  return static_cast<double>(late_) > allowed + 2 * std::sqrt(allowed) + 1;
}

SloVerdict SloController::update(uint32_t share_ppm, uint32_t most_ppm) {
  if (clearly_missed()) return raise(share_ppm, most_ppm);
  uint64_t full = kWindowMisses * kWholePpm / (kWholePpm - slo_.quantile_ppm);
  uint64_t measured = window_.quantile_ns(slo_.quantile_ppm);
  if (window_.count() < full) return {SloState::kLearning, std::min(share_ppm, most_ppm), measured, {}};
  raises_ = 0;
  bool calm = measured < slo_.bound_ns * kCalmPart / kWholePpm;
  calm_ = calm ? calm_ + 1 : 0;
  if (calm_ < kCalmWindows || share_ppm <= kMinSharePpm) return close(SloState::kHolds, std::min(share_ppm, most_ppm));
  calm_ = 0;
  return close(SloState::kLowered, std::max(kMinSharePpm, share_ppm - share_ppm / 20));
}

SloVerdict SloController::raise(uint32_t share_ppm, uint32_t most_ppm) {
  uint64_t measured = window_.quantile_ns(slo_.quantile_ppm);
  calm_ = 0;
  std::string goal = format_duration(measured) + ", " + format_duration(slo_.bound_ns) + " was asked for";
  if (share_ppm >= most_ppm)
    return close(SloState::kCannot, most_ppm,
                 "with all of the " + format_percent(most_ppm) + " that it may have it takes " + goal);
  if (raises_ == 0) before_raises_ns_ = measured;
  if (raises_ >= kVainRaises) {
    bool helped = measured < before_raises_ns_ - before_raises_ns_ / 10;
    if (!helped)
      return close(SloState::kCannot, share_ppm,
                   "a larger share than " + format_percent(share_ppm) + " does not help: it takes " + goal);
    raises_ = 0;
    before_raises_ns_ = measured;
  }
  ++raises_;
  double factor = std::clamp(static_cast<double>(measured) / static_cast<double>(slo_.bound_ns), 1.1, 2.0);
  auto wanted = static_cast<uint32_t>(std::max(share_ppm, kFirstSharePpm / 2) * factor);
  return close(SloState::kRaised, std::min(wanted, most_ppm));
}

SloVerdict SloController::close(SloState state, uint32_t share_ppm, std::string reason) {
  SloVerdict verdict{state, share_ppm, window_.quantile_ns(slo_.quantile_ppm), std::move(reason)};
  window_.clear();
  late_ = 0;
  return verdict;
}

}  // namespace amalgam::core
