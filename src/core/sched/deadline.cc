// SPDX-License-Identifier: Apache-2.0
// The policy `deadline`: earliest deadline first, inside reserved shares.
//
// A slice with a latency goal has a deadline for its oldest launch: arrival + bound. Among those that are within their rate
// (credit > 0) the earliest deadline runs. A slice that is over its rate counts as one without a deadline, so a goal cannot
// take more than its share, and EDF is only used where it is optimal: below full load. The realtime class still goes before
// all others, starving classes have their turn, and whoever has no deadline is served as in `fair`.
#include "core/sched/policy.h"

namespace amalgam::core {

Decision choose_deadline(const Snapshot& snapshot, const Hints& hints) {
  if (snapshot.candidates.empty()) return {};
  if (starved_class(snapshot, hints) < kPriorities) return choose_fair(snapshot, hints);
  bool realtime = most_urgent(snapshot.candidates) == Priority::kRealtime;
  const Candidate* first = nullptr;
  for (const Candidate& candidate : snapshot.candidates) {
    if (realtime && candidate.priority != Priority::kRealtime) continue;
    if (candidate.deadline_ns == 0 || candidate.credit_ns <= 0) continue;
    if (first == nullptr || candidate.deadline_ns < first->deadline_ns) first = &candidate;
  }
  if (first == nullptr) return choose_fair(snapshot, hints);
  Rule rule = snapshot.candidates.size() > 1 ? Rule::kDeadline : Rule::kAlone;
  return {first->slice, hints.quantum_ns, rule};
}

}  // namespace amalgam::core
