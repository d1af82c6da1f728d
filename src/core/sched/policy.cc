// SPDX-License-Identifier: Apache-2.0
#include "core/sched/policy.h"

#include <algorithm>
#include <string>

#include "base/assert.h"

namespace amalgam::core {
namespace {

using Wide = __int128;

constexpr Policy kPolicies[] = {
    {"fair", "guaranteed shares and fairness within classes, strict between classes, bounded starvation", choose_fair},
    {"priority", "the most urgent class runs alone", choose_priority},
    {"deadline", "the earliest deadline of those within their share, then fair", choose_deadline},
};

struct RuleText {
  std::string_view name, text;
};
constexpr std::array<RuleText, kRules> kRuleTexts = {{
    {"none", "nothing was decided yet"},
    {"alone", "nobody else wanted the device"},
    {"class", "a more urgent class goes first"},
    {"fair", "same class: the one that is furthest behind its share goes first"},
    {"return", "same class: a slice that was idle comes back within its share"},
    {"within-share", "a more urgent slice within its own share goes before a guarantee that is behind"},
    {"guarantee", "a guaranteed share that is behind goes before a more urgent slice that is ahead of its own"},
    {"starvation", "its class had waited for the bound of starvation"},
    {"deadline", "the launch with the earliest deadline goes first"},
    {"quantum", "the quantum of the slice that runs is not over"},
    {"drain", "revoked work has not left the device yet"},
    {"switch", "the device is between two holders"},
    {"hung", "its own work does not leave the device"},
}};

bool anybody(const Candidate& /*candidate*/) { return true; }

/// The weighted mean of those that pass, rounded down, so that at least one of them is not above it.
int64_t mean_of(std::span<const Candidate> candidates, Priority priority, bool (*admits)(const Candidate&),
                int64_t otherwise) {
  Wide sum = 0, weights = 0;
  for (const Candidate& candidate : candidates) {
    if (candidate.priority != priority || !admits(candidate)) continue;
    sum += static_cast<Wide>(candidate.vruntime_ns) * candidate.weight_ppm;
    weights += candidate.weight_ppm;
  }
  if (weights == 0) return otherwise;
  Wide mean = sum / weights;
  if (sum % weights != 0 && sum < 0) --mean;
  return static_cast<int64_t>(mean);
}

}  // namespace

std::string_view rule_name(Rule rule) { return kRuleTexts[static_cast<size_t>(rule)].name; }
std::string_view rule_text(Rule rule) { return kRuleTexts[static_cast<size_t>(rule)].text; }

Rule waiting_rule(Rule rule, Priority runner, Priority waiter) {
  if (rule != Rule::kAlone && rule != Rule::kClass && rule != Rule::kFair && rule != Rule::kReturn) return rule;
  if (waiter > runner) return Rule::kClass;
  if (waiter < runner || rule == Rule::kAlone) return Rule::kQuantum;
  return rule == Rule::kReturn ? Rule::kReturn : Rule::kFair;
}

std::span<const Policy> policies() { return kPolicies; }

Result<const Policy*> find_policy(std::string_view name) {
  std::string all;
  for (const Policy& policy : kPolicies) {
    if (policy.name == name) return &policy;
    all += (all.empty() ? "" : ", ") + std::string(policy.name);
  }
  return fail(Code::kNotFound, "there is no policy \"" + std::string(name) + "\": choose one of " + all);
}

int64_t virtual_mean(std::span<const Candidate> candidates, Priority priority, int64_t otherwise) {
  return mean_of(candidates, priority, anybody, otherwise);
}

const Candidate& earliest_eligible(std::span<const Candidate> candidates, Priority priority, uint64_t quantum_ns,
                                   bool (*admits)(const Candidate&)) {
  int64_t mean = mean_of(candidates, priority, admits, 0);
  const Candidate* best = nullptr;
  Wide best_deadline = 0;
  for (const Candidate& candidate : candidates) {
    if (candidate.priority != priority || !admits(candidate) || candidate.vruntime_ns > mean) continue;
    Wide deadline = candidate.vruntime_ns + static_cast<Wide>(quantum_ns) * kWholePpm / candidate.weight_ppm;
    bool earlier = best == nullptr || deadline < best_deadline ||
                   (deadline == best_deadline && candidate.ready_since_ns < best->ready_since_ns);
    if (!earlier) continue;
    best = &candidate;
    best_deadline = deadline;
  }
  AMALGAM_ASSERT(best != nullptr);
  return *best;
}

size_t starved_class(const Snapshot& snapshot, const Hints& hints) {
  if (snapshot.candidates.empty()) return kPriorities;
  for (size_t i = static_cast<size_t>(most_urgent(snapshot.candidates)) + 1; i < kPriorities; ++i) {
    if (hints.starvation_ns[i] == 0 || snapshot.now_ns < snapshot.unserved_since_ns[i] + hints.starvation_ns[i]) continue;
    for (const Candidate& candidate : snapshot.candidates) {
      if (candidate.priority == static_cast<Priority>(i)) return i;
    }
  }
  return kPriorities;
}

Decision choose_in_class(const Snapshot& snapshot, const Hints& hints, Priority priority) {
  const Candidate* returned = nullptr;
  size_t peers = 0;
  for (const Candidate& candidate : snapshot.candidates) {
    if (candidate.priority != priority) continue;
    ++peers;
    if (!candidate.returned || candidate.credit_ns <= 0) continue;
    if (returned == nullptr || candidate.ready_since_ns < returned->ready_since_ns) returned = &candidate;
  }
  if (returned != nullptr && peers > 1) return {returned->slice, hints.quantum_ns, Rule::kReturn};
  const Candidate& next = earliest_eligible(snapshot.candidates, priority, hints.quantum_ns, anybody);
  Rule rule = peers > 1 ? Rule::kFair : snapshot.candidates.size() > 1 ? Rule::kClass : Rule::kAlone;
  return {next.slice, hints.quantum_ns, rule};
}

Priority most_urgent(std::span<const Candidate> candidates) {
  AMALGAM_ASSERT(!candidates.empty());
  return std::ranges::min(candidates, {}, &Candidate::priority).priority;
}

}  // namespace amalgam::core
