// SPDX-License-Identifier: Apache-2.0
#include "core/sched/goals.h"

#include <algorithm>

namespace amalgam::core {
namespace {

/// The largest share that `slice` may have beside the others'.
uint32_t most_of(const std::vector<Holding>& holdings, SliceId slice) {
  uint32_t others = 0, cap = kWholePpm;
  for (const Holding& holding : holdings) {
    if (holding.slice == slice)
      cap = holding.terms.most_ppm();
    else
      others += holding.terms.share_ppm;
  }
  return std::min(kWholePpm - std::min(others, kWholePpm), cap);
}

void set_share(uint64_t now_ns, Arbiter& arbiter, SliceId slice, uint32_t share_ppm) {
  for (const Holding& holding : arbiter.holdings()) {
    if (holding.slice != slice || holding.terms.share_ppm == share_ppm) continue;
    Terms terms = holding.terms;
    terms.share_ppm = share_ppm;
    (void)arbiter.set_terms(now_ns, slice, terms);  // refused, it keeps what it has
  }
}

}  // namespace

std::vector<SliceId> Goals::slices() const {
  std::vector<SliceId> slices;
  for (const auto& [slice, goal] : goals_) slices.push_back(slice);
  return slices;
}

Result<void> Goals::admit(uint64_t now_ns, Arbiter& arbiter, SliceId slice, const Terms& terms,
                          const std::function<Result<void>()>& change) {
  for (const auto& [other, goal] : goals_) set_share(now_ns, arbiter, other, goal.asked.share_ppm);
  auto changed = change();
  if (changed) {
    auto known = goals_.find(slice);
    if (terms.slo.bound_ns == 0) {
      goals_.erase(slice);
    } else if (known == goals_.end() || known->second.asked.slo != terms.slo) {
      goals_.insert_or_assign(slice, Goal{terms, SloController(terms.slo), {}, terms.share_ppm});
    } else {
      known->second.asked = terms;
    }
  }
  take_shares(now_ns, arbiter);
  return changed;
}

void Goals::take_shares(uint64_t now_ns, Arbiter& arbiter) {
  for (const auto& [slice, goal] : goals_) {
    uint32_t room = most_of(arbiter.holdings(), slice);
    set_share(now_ns, arbiter, slice, std::max(std::min(goal.found_ppm, room), goal.asked.share_ppm));
  }
}

std::vector<Holding> Goals::as_asked(std::vector<Holding> holdings) const {
  for (Holding& holding : holdings)
    if (auto goal = goals_.find(holding.slice); goal != goals_.end()) holding.terms.share_ppm = goal->second.asked.share_ppm;
  return holdings;
}

void Goals::observe(SliceId slice, uint64_t latency_ns, uint32_t times) {
  if (auto goal = goals_.find(slice); goal != goals_.end()) goal->second.controller.observe(latency_ns, times);
}

void Goals::update(uint64_t now_ns, Arbiter& arbiter) {
  for (auto& [slice, goal] : goals_) {
    auto holdings = arbiter.holdings();
    auto own = std::ranges::find(holdings, slice, &Holding::slice);
    if (own == holdings.end()) continue;
    bool silent = goal.controller.observed() == 0;
    auto verdict = goal.controller.update(own->terms.share_ppm, most_of(holdings, slice));
    // A window that is not over says nothing new.
    if (silent || (verdict.state == SloState::kLearning && goal.verdict.state != SloState::kLearning)) continue;
    goal.verdict = std::move(verdict);
    goal.found_ppm = std::max(goal.verdict.share_ppm, goal.asked.share_ppm);
    set_share(now_ns, arbiter, slice, goal.found_ppm);
  }
}

std::string Goals::text(SliceId slice) const {
  auto found = goals_.find(slice);
  if (found == goals_.end()) return "";
  const Goal& goal = found->second;
  const SloVerdict& verdict = goal.verdict;
  std::string share = goal.found_ppm == 0 ? "no share" : "a share of " + format_percent(goal.found_ppm);
  std::string many = format_percent(goal.asked.slo.quantile_ppm) + " of the launches take at most ";
  std::string measured =
      many + format_duration(verdict.measured_ns) + ", " + format_duration(goal.asked.slo.bound_ns) + " asked for";
  switch (verdict.state) {
    case SloState::kLearning: return "not judged yet, too few launches; it has " + share;
    case SloState::kHolds: return "kept with " + share + ": " + measured;
    case SloState::kRaised: return "was missed, now it has " + share + ": " + measured;
    case SloState::kLowered: return "kept with room, now it has " + share + ": " + measured;
    case SloState::kCannot: return "cannot be kept: " + verdict.reason;
  }
  return "";
}

}  // namespace amalgam::core
