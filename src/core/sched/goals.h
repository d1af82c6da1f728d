// SPDX-License-Identifier: Apache-2.0
// Goals: the latency goals of one device's slices. Each has a controller (slo.h) that finds its guaranteed share, between
// the share that was asked for and what the others' guarantees leave.
//
// A found share is nobody's right: it stands back while somebody else's terms are admitted, and takes what they leave.
//
// Threads: plain values, under the caller's lock. Pure: the caller says what time it is.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/sched/arbiter.h"
#include "core/sched/slo.h"

namespace amalgam::core {

class Goals {
 public:
  static constexpr uint64_t kPeriodNs = 1'000'000'000;  ///< how often update() should be called while launches run

  bool empty() const { return goals_.empty(); }
  std::vector<SliceId> slices() const;

  /// Carries `change` out, which gives `slice` these terms in the arbiter: every found share stands back meanwhile. If it
  /// was admitted, a goal in them begins, goes on with the same bound, or ends.
  Result<void> admit(uint64_t now_ns, Arbiter& arbiter, SliceId slice, const Terms& terms,
                     const std::function<Result<void>()>& change);
  void forget(SliceId slice) { goals_.erase(slice); }
  /// The holdings with the shares that were asked for: what admission has to look at.
  std::vector<Holding> as_asked(std::vector<Holding> holdings) const;

  /// So many launches of a slice took so long. Slices without a goal are ignored.
  void observe(SliceId slice, uint64_t latency_ns, uint32_t times);
  /// Judges what was observed and sets the shares.
  void update(uint64_t now_ns, Arbiter& arbiter);
  /// How the goal is kept, in words; empty without one.
  std::string text(SliceId slice) const;

 private:
  struct Goal {
    Terms asked;
    SloController controller;
    SloVerdict verdict;
    uint32_t found_ppm = 0;  ///< the share that it should have
  };
  void take_shares(uint64_t now_ns, Arbiter& arbiter);

  std::map<SliceId, Goal> goals_;
};

}  // namespace amalgam::core
