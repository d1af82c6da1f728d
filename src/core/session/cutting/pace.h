// SPDX-License-Identifier: Apache-2.0
// Pace: how long one kernel takes per work-group in one shape, learned from what has run, and how large its next piece is.
//
//   size of the next piece = target / time per group, but at most twice the piece before it
//
// Theory. The time per group is a moving average that gives the last command half of the weight. A small piece says too
// much: it carries a launch's own cost and leaves processors idle. That corrects itself: with a cost of c a piece and t a
// group, the next size is target * g / (c + g t), which grows until a piece takes the target. Doubling at most keeps one
// cheap piece (groups that have nothing to do) from making the next one endless.
//
// Threads: any; one word, whose lost updates do not matter. Blocking: never.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace amalgam::core {

class Pace {
 public:
  /// A command of so many groups took so long; 0 is not believed.
  void learn(uint64_t groups, uint64_t ran_ns) {
    if (groups == 0 || ran_ns == 0) return;
    double now = static_cast<double>(ran_ns) / static_cast<double>(groups);
    double before = group_ns_.load(std::memory_order_relaxed);
    group_ns_.store(before == 0 ? now : (before + now) / 2, std::memory_order_relaxed);
  }

  bool is_known() const { return group_ns_.load(std::memory_order_relaxed) != 0; }

  /// Whether so many groups should be done within `ns`; false if nothing is known.
  bool fits(uint64_t groups, uint64_t ns) const {
    double each = group_ns_.load(std::memory_order_relaxed);
    return each != 0 && each * static_cast<double>(groups) <= static_cast<double>(ns);
  }

  /// Groups of the next piece. `before`: of the last piece of this launch, 0 if there is none; `small`: what to begin with
  /// if nothing is known.
  uint64_t next(uint64_t target_ns, uint64_t before, uint64_t small) const {
    constexpr uint64_t kMost = uint64_t{1} << 40;
    double each = group_ns_.load(std::memory_order_relaxed);
    uint64_t limit = before == 0 ? (each == 0 ? small : kMost) : 2 * std::min(before, kMost);
    double fitting = each == 0 ? static_cast<double>(kMost) : static_cast<double>(target_ns) / each;
    uint64_t groups = fitting >= static_cast<double>(kMost) ? kMost : static_cast<uint64_t>(fitting);
    return std::max<uint64_t>(std::min(groups, limit), 1);
  }

 private:
  std::atomic<double> group_ns_{0};
};

}  // namespace amalgam::core
