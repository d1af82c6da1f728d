// SPDX-License-Identifier: Apache-2.0
// The policy `fair`.
//
// Within a class: EEVDF. Of the slices whose lag is not negative (V - own virtual time >= 0) the one with the earliest
// virtual deadline (own virtual time + quantum / weight) runs for a quantum. The published bound: with quantum q and overrun
// o (work that was in flight when a quantum ended, at most the longest piece; 0 on devices that freeze) a competing slice's
// lag stays within ±2 (q + o). A window's error is a difference of two lags.
//
// Between classes, the first that applies:
//   1. A class that has waited for its bound of starvation gets one quantum, a short one, because a more urgent class waits.
//   2. The realtime class runs.
//   3. Of the most urgent class, slices that are within their own rate run (credit > 0), although a guarantee may be behind.
//   4. A less urgent slice whose guaranteed share is behind (credit > 0) runs for a short quantum.
//   5. The most urgent class runs.
// By 3 an urgent slice that uses the device lightly never waits for a guarantee; by 4 a greedy one cannot take what was
// promised to others, since rates sum to at most 100 % of the time that realtime leaves.
//
// Rejected: one virtual time over all classes (a starving class's lag grows without bound, and clamping it loses the ratio
// of those that do run); guarantees before classes always (an urgent slice would wait for old debts of others).
#include "core/sched/policy.h"

namespace amalgam::core {
namespace {

bool within_rate(const Candidate& candidate) { return candidate.credit_ns > 0; }
bool owed(const Candidate& candidate) { return candidate.share_ppm != 0 && candidate.credit_ns > 0; }

}  // namespace

Decision choose_fair(const Snapshot& snapshot, const Hints& hints) {
  if (snapshot.candidates.empty()) return {};
  Priority top = most_urgent(snapshot.candidates);
  size_t starved = starved_class(snapshot, hints);
  if (starved < kPriorities) {
    Decision decision = choose_in_class(snapshot, hints, static_cast<Priority>(starved));
    return {decision.slice, hints.short_quantum_ns, Rule::kStarvation};
  }
  if (top == Priority::kRealtime) return choose_in_class(snapshot, hints, top);

  bool top_within = false;
  Priority behind = top;  // the most urgent lower class with a guarantee that is behind
  for (const Candidate& candidate : snapshot.candidates) {
    if (candidate.priority == top) {
      top_within = top_within || within_rate(candidate);
    } else if (owed(candidate) && (behind == top || candidate.priority < behind)) {
      behind = candidate.priority;
    }
  }
  if (behind == top) return choose_in_class(snapshot, hints, top);
  if (top_within) {
    const Candidate& next = earliest_eligible(snapshot.candidates, top, hints.quantum_ns, within_rate);
    return {next.slice, hints.quantum_ns, Rule::kWithinShare};
  }
  const Candidate& next = earliest_eligible(snapshot.candidates, behind, hints.short_quantum_ns, owed);
  return {next.slice, hints.short_quantum_ns, Rule::kGuarantee};
}

}  // namespace amalgam::core
