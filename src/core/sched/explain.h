// SPDX-License-Identifier: Apache-2.0
// Totals and History: what `amalgam explain` answers from. For every slice, where each nanosecond since it was added went;
// for the device, its last decisions.
//
//   ran + waited (split by whom and rule) + throttled + idle = time since the slice was added
//
// Threads: plain values. Both are bounded: kWaitCauses pairs a slice, kDecisionHistory decisions a device.
#pragma once

#include <cstdint>
#include <vector>

#include "base/limits.h"
#include "core/sched/decision.h"

namespace amalgam::core {

struct WaitCause {
  SliceId whom = 0;  ///< 0: nobody held the device, or (last entry) all causes beyond the bound
  Rule rule = Rule::kNone;
  uint64_t waited_ns = 0;
};

struct Totals {
  uint64_t ran_ns = 0;        ///< held the device with work, or in a tolerated gap
  uint64_t waited_ns = 0;     ///< wanted it, and another or nobody had it
  uint64_t throttled_ns = 0;  ///< wanted it, and was over its cap
  uint64_t idle_ns = 0;       ///< did not want it
  uint64_t lent_ns = 0;       ///< part of idle: what of its guaranteed share others ran
  int64_t corrected_ns = 0;   ///< what the device said on top of ran
  uint64_t quanta = 0;        ///< grants, extensions included
  uint64_t preemptions = 0;   ///< grants that a more urgent slice ended
  std::vector<WaitCause> waits;

  void wait(SliceId whom, Rule rule, uint64_t ns);
  uint64_t wall_ns() const { return ran_ns + waited_ns + throttled_ns + idle_ns; }
};

/// Why a grant ended.
enum class End : uint8_t { kNone, kQuantum, kPreempted, kIdle, kCap, kRemoved, kLost };
std::string_view end_name(End end);

struct Record {
  static constexpr size_t kNamed = 4;
  uint64_t at_ns = 0;
  uint64_t until_ns = 0;
  SliceId slice = 0;
  Rule rule = Rule::kNone;
  SliceId previous = 0;                  ///< who held the device before
  uint64_t previous_end_ns = 0;          ///< when it stopped; its revoked work may have left the device later
  End ended = End::kNone;                ///< why it stopped
  uint32_t passed_over = 0;              ///< how many wanted the device and did not get it
  std::array<SliceId, kNamed> passed{};  ///< the first of them
};

/// The last kDecisionHistory decisions.
class History {
 public:
  void add(const Record& record);
  /// The oldest first.
  std::vector<Record> list() const { return since(0, kDecisionHistory); }
  /// Those with numbers over `after` that are remembered, at most the `most` newest, the oldest first. The first decision
  /// ever has number 1, the last one count().
  std::vector<Record> since(uint64_t after, uint64_t most) const;
  /// All that there ever were.
  uint64_t count() const { return count_; }

 private:
  std::vector<Record> ring_;
  uint64_t count_ = 0;
};

}  // namespace amalgam::core
