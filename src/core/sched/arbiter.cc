// SPDX-License-Identifier: Apache-2.0
#include "core/sched/arbiter.h"

#include <algorithm>

#include "base/assert.h"

namespace amalgam::core {
Arbiter::Arbiter(const Options& options, uint64_t now_ns)
    : options_(options), policy_(&policies().front()), now_ns_(now_ns) {
  Hints& hints = options_.hints;
  hints.quantum_ns = std::clamp<uint64_t>(hints.quantum_ns, 1, kLongestQuantumMs * 1'000'000);
  hints.short_quantum_ns = std::clamp<uint64_t>(hints.short_quantum_ns, 1, hints.quantum_ns);
  snapshot_.unserved_since_ns.fill(now_ns);
}

Result<void> Arbiter::add_slice(uint64_t now_ns, SliceId slice, std::string name, const Terms& terms) {
  if (slice == 0 || find(slice) != nullptr)
    return fail(Code::kInvalidArgument, "slice " + std::to_string(slice) + " is on this device already, or no id");
  if (slices_.size() >= kMaxSlices) return fail(Code::kLimit, "the device has " + std::to_string(kMaxSlices) + " slices");
  auto held = holdings();
  AMALGAM_TRY(admit(held, {slice, name, terms}), "add slice");
  settle(now_ns);
  auto means = virtual_means();
  Standing standing{kLeastWeightPpm, 0};  // divide_again() knows better
  slices_.push_back({.id = slice,
                     .name = std::move(name),
                     .terms = terms,
                     .account = Account(standing, terms.most_ppm(), virtual_now(terms.priority)),
                     .idle_since_ns = now_ns_});
  divide_again(means, slice, terms.priority);
  return {};
}

void Arbiter::remove_slice(uint64_t now_ns, SliceId slice) {
  Slice* found = find(slice);
  if (found == nullptr) return;
  settle(now_ns);
  set_competes(*found, false);
  if (slice == holder_ || slice == draining_) vacate(End::kRemoved);
  auto means = virtual_means();
  std::erase_if(slices_, [&](const Slice& other) { return other.id == slice; });
  divide_again(means, 0, Priority::kNormal);
}

Result<void> Arbiter::set_terms(uint64_t now_ns, SliceId slice, const Terms& terms) {
  Slice* found = find(slice);
  if (found == nullptr) return fail(Code::kNotFound, "slice " + std::to_string(slice) + " is not on this device");
  AMALGAM_TRY(admit(holdings(), {slice, found->name, terms}), "set terms");
  settle(now_ns);
  Priority from_class = found->terms.priority;
  // The holder's time is limited anew; another one that became more urgent may preempt.
  if (slice == holder_) {
    grant_.until_ns = std::min(grant_.until_ns, now_ns_);
  } else if (terms.priority < from_class && found->competes) {
    found->ready_since_ns = now_ns_;
    arrival_ = true;
  }
  auto means = virtual_means();
  found->terms = terms;
  divide_again(means, slice, from_class);
  return {};
}

Result<void> Arbiter::set_policy(uint64_t now_ns, std::string_view name) {
  auto found = find_policy(name);
  if (!found) return fail(found.error());
  settle(now_ns);
  policy_ = *found;
  return {};
}

void Arbiter::observe(uint64_t now_ns, SliceId slice, const Observation& observation) {
  Slice* found = find(slice);
  if (found == nullptr) return;
  settle(now_ns);
  Slice& self = *found;
  bool before = self.busy();
  self.pending = observation.pending;
  self.in_flight = observation.in_flight;
  if (self.busy()) {
    if (!before) {
      uint64_t gap = now_ns_ - self.idle_since_ns;
      // Without the device its program may have waited for a processor rather than paused.
      if (self.was_busy && !self.ousted) self.gaps.learn(gap);
      self.returned = gap >= kReturnAfterNs && slice != holder_;
      self.was_busy = true;
    }
    if (!before || observation.oldest_ns != 0)
      self.wants_since_ns = observation.oldest_ns != 0 ? std::min(observation.oldest_ns, now_ns_) : now_ns_;
    return;
  }
  if (!before) return;
  uint64_t idle_for = std::min(observation.idle_for_ns, now_ns_);
  self.idle_since_ns = now_ns_ - idle_for;
  // It was charged as busy until now; what lies beyond the tolerance was idleness that nobody had reported yet.
  uint64_t over = idle_for > self.gaps.tolerance_ns() ? idle_for - self.gaps.tolerance_ns() : 0;
  bool held = slice == holder_ || slice == draining_;
  over = held ? std::min({over, self.totals.ran_ns, now_ns_ - std::min(now_ns_, grant_.since_ns)}) : 0;
  if (over == 0) return;
  self.account.correct(-static_cast<int64_t>(over));
  self.totals.ran_ns -= over;
  self.totals.idle_ns += over;
}

void Arbiter::drained(uint64_t now_ns, SliceId slice) {
  Slice* found = find(slice);
  if (found == nullptr) return;
  settle(now_ns);
  if (slice != draining_ && !found->hung) return;  // an answer to a revoke that is over
  found->in_flight = false;
  found->hung = false;
  if (!found->busy()) found->idle_since_ns = std::max(found->idle_since_ns, grant_.since_ns);
  if (slice == draining_) draining_ = 0;
}

void Arbiter::correct(uint64_t now_ns, SliceId slice, int64_t delta_ns) {
  Slice* found = find(slice);
  if (found == nullptr) return;
  settle(now_ns);
  found->account.correct(delta_ns);
  found->totals.corrected_ns += delta_ns;
}

void Arbiter::lose_device(uint64_t now_ns) {
  settle(now_ns);
  for (Slice& slice : slices_) {
    if (slice.busy()) slice.idle_since_ns = now_ns_;
    slice.pending = slice.in_flight = slice.hung = false;
  }
  vacate(End::kLost);
}

Arbiter::Step Arbiter::step(uint64_t now_ns) {
  Step out;
  settle(now_ns);
  refresh();
  if (draining_ != 0) wait_for_drain(out);
  if (draining_ == 0) {
    if (Slice* holder = find(holder_)) keep_or_revoke(*holder, out);
    if (holder_ == 0 && draining_ == 0) {
      Decision decision = choose();
      if (decision.slice != 0) grant(*find(decision.slice), decision, out);
    }
  }
  out.next_wake_ns = next_wake();
  return out;
}

void Arbiter::wait_for_drain(Step& out) {
  if (now_ns_ < drain_deadline_ns_) return;
  Slice& slice = *find(draining_);
  slice.hung = true;
  set_competes(slice, false);
  act(out, {ActionKind::kHung, slice.id, 0, Rule::kHung});
  draining_ = 0;
}

void Arbiter::keep_or_revoke(Slice& holder, Step& out) {
  if (holder.throttled) return revoke(holder, End::kCap, out);
  size_t others = rivals(holder);
  if (!holder.competes) {
    if (others != 0) revoke(holder, End::kIdle, out);
    return;
  }
  bool over = now_ns_ >= grant_.until_ns;
  if (others == 0) {
    if (over) grant(holder, {holder.id, options_.hints.quantum_ns, Rule::kAlone}, out);
    return;
  }
  bool shortened = grant_.until_ns == kForeverNs;
  if (shortened) {
    grant_.until_ns = std::max(now_ns_, grant_.since_ns + options_.hints.quantum_ns);
    over = now_ns_ >= grant_.until_ns;
  }
  if (over || arrival_) {
    Decision decision = choose();
    bool goes_on = decision.slice == holder.id;
    if (over && goes_on) return grant(holder, decision, out);
    if (over || (!goes_on && preempts(decision, holder))) {
      bool outranked = !goes_on && preempts(decision, holder);
      return revoke(holder, outranked ? End::kPreempted : End::kQuantum, out);
    }
  }
  if (shortened) act(out, {ActionKind::kGrant, holder.id, grant_.until_ns, grant_.rule});
}

bool Arbiter::preempts(const Decision& decision, const Slice& holder) const {
  const Slice& next = *find(decision.slice);
  if (grant_.rule == Rule::kStarvation || next.ready_since_ns <= grant_.since_ns) return false;
  if (decision.rule == Rule::kGuarantee || decision.rule == Rule::kStarvation) return false;
  if (decision.rule == Rule::kDeadline)
    return next.terms.priority <= holder.terms.priority || holder.terms.slo.bound_ns == 0;
  return next.terms.priority < holder.terms.priority;
}

void Arbiter::grant(Slice& slice, const Decision& decision, Step& out) {
  uint64_t until = rivals(slice) == 0 ? kForeverNs : now_ns_ + decision.quantum_ns;
  if (slice.account.capped()) until = std::min(until, now_ns_ + slice.account.cap_runs_for_ns());
  Record record{.at_ns = now_ns_, .until_ns = until, .slice = slice.id, .rule = decision.rule};
  record.previous = holder_ != 0 ? holder_ : previous_;
  record.previous_end_ns = holder_ != 0 ? now_ns_ : vacated_ns_;
  record.ended = holder_ != 0 ? End::kQuantum : ended_;
  for (const Slice& other : slices_) {
    if (!other.competes || other.id == slice.id) continue;
    if (record.passed_over < Record::kNamed) record.passed[record.passed_over] = other.id;
    ++record.passed_over;
  }
  history_.add(record);
  holder_ = slice.id;
  grant_ = {now_ns_, until, decision.rule};
  slice.returned = slice.ousted = false;
  ++slice.totals.quanta;
  act(out, {ActionKind::kGrant, slice.id, until, decision.rule});
}

void Arbiter::revoke(Slice& slice, End why, Step& out) {
  if (why == End::kPreempted) ++slice.totals.preemptions;
  slice.ousted = why != End::kIdle;
  act(out, {ActionKind::kRevoke, slice.id, 0, grant_.rule});
  vacate(why);
  if (!options_.freezable) {
    draining_ = slice.id;
    drain_deadline_ns_ = now_ns_ + options_.hang_after_ns;
  }
  refresh();  // a gap is tolerated only while the device is held
}

void Arbiter::vacate(End why) {
  previous_ = holder_ != 0 ? holder_ : draining_;
  ended_ = why;
  vacated_ns_ = now_ns_;
  holder_ = draining_ = 0;
}

Decision Arbiter::choose() {
  snapshot_.now_ns = now_ns_;
  snapshot_.candidates.clear();
  for (const Slice& slice : slices_) {
    if (!slice.competes) continue;
    const Slo& slo = slice.terms.slo;
    snapshot_.candidates.push_back({.slice = slice.id,
                                    .priority = slice.terms.priority,
                                    .share_ppm = slice.terms.share_ppm,
                                    .weight_ppm = slice.account.weight_ppm(),
                                    .vruntime_ns = slice.account.vruntime_ns(),
                                    .credit_ns = slice.account.credit_ns(),
                                    .ready_since_ns = slice.ready_since_ns,
                                    .deadline_ns = slo.bound_ns == 0 ? 0 : slice.wants_since_ns + slo.bound_ns,
                                    .returned = slice.returned});
  }
  arrival_ = false;
  return policy_->choose(snapshot_, options_.hints);
}

uint64_t Arbiter::next_wake() const {
  uint64_t wake = kForeverNs;
  if (draining_ != 0) {
    wake = drain_deadline_ns_;
  } else if (const Slice* holder = find(holder_)) {
    if (holder->competes) wake = grant_.until_ns;
    if (!holder->busy() && rivals(*holder) != 0) wake = std::min(wake, holder->gap_end_ns());
  }
  for (const Slice& slice : slices_) {
    if (slice.throttled && slice.busy() && !slice.hung) wake = std::min(wake, now_ns_ + slice.account.cap_ready_in_ns());
  }
  return wake;
}

void Arbiter::act(Step& out, const Action& action) {
  AMALGAM_ASSERT(out.count < out.actions.size());
  out.actions[out.count++] = action;
}

}  // namespace amalgam::core
