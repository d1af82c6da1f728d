// SPDX-License-Identifier: Apache-2.0
// Policies by name, and what they are made of. A policy holds no state: it can be changed while slices run, and no account
// is lost.
//
// Threads: pure functions.
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "core/sched/decision.h"

namespace amalgam::core {

struct Policy {
  std::string_view name;
  std::string_view meaning;
  Decision (*choose)(const Snapshot& snapshot, const Hints& hints);
};

/// Guarantees and fairness within classes, classes strictly above each other, with bounds (fair.cc).
Decision choose_fair(const Snapshot& snapshot, const Hints& hints);
/// The most urgent class alone (priority.cc).
Decision choose_priority(const Snapshot& snapshot, const Hints& hints);
/// The earliest deadline, then fair (deadline.cc).
Decision choose_deadline(const Snapshot& snapshot, const Hints& hints);

std::span<const Policy> policies();
/// kNotFound names all that there are.
Result<const Policy*> find_policy(std::string_view name);

/// The weighted mean of the virtual times of `priority`'s candidates; `otherwise` if there are none.
int64_t virtual_mean(std::span<const Candidate> candidates, Priority priority, int64_t otherwise);
/// EEVDF among the candidates of a class that `admits` lets through; at least one must pass.
const Candidate& earliest_eligible(std::span<const Candidate> candidates, Priority priority, uint64_t quantum_ns,
                                   bool (*admits)(const Candidate&));
/// The class below the most urgent one that has starved for its bound, the most urgent first; kPriorities if none.
size_t starved_class(const Snapshot& snapshot, const Hints& hints);
/// What the most urgent class decides for itself.
Decision choose_in_class(const Snapshot& snapshot, const Hints& hints, Priority priority);
/// The most urgent class that has candidates. There must be one.
Priority most_urgent(std::span<const Candidate> candidates);

}  // namespace amalgam::core
