// SPDX-License-Identifier: Apache-2.0
#include "core/sched/explain.h"

#include <algorithm>

namespace amalgam::core {

void Totals::wait(SliceId whom, Rule rule, uint64_t ns) {
  waited_ns += ns;
  for (WaitCause& cause : waits) {
    if (cause.whom != whom || cause.rule != rule) continue;
    cause.waited_ns += ns;
    return;
  }
  if (waits.size() + 1 < kWaitCauses) {
    waits.push_back({whom, rule, ns});
  } else if (waits.size() < kWaitCauses) {
    waits.push_back({0, Rule::kNone, ns});
  } else {
    waits.back().waited_ns += ns;
  }
}

std::string_view end_name(End end) {
  static constexpr std::array<std::string_view, 7> kNames = {"none", "quantum", "preempted", "idle",
                                                             "cap",  "removed", "lost"};
  return kNames[static_cast<size_t>(end)];
}

void History::add(const Record& record) {
  if (ring_.size() < kDecisionHistory) {
    ring_.push_back(record);
  } else {
    ring_[count_ % kDecisionHistory] = record;
  }
  ++count_;
}

std::vector<Record> History::since(uint64_t after, uint64_t most) const {
  uint64_t wanted = std::min({count_ - std::min(count_, after), most, static_cast<uint64_t>(ring_.size())});
  std::vector<Record> ordered;
  ordered.reserve(wanted);
  for (uint64_t i = count_ - wanted; i < count_; ++i) ordered.push_back(ring_[i % kDecisionHistory]);
  return ordered;
}

}  // namespace amalgam::core
