// SPDX-License-Identifier: Apache-2.0
// The arbiter's book-keeping: where time goes, and who competes.
#include <algorithm>

#include "core/sched/arbiter.h"

namespace amalgam::core {
namespace {

using Wide = __int128;
constexpr int64_t kRebaseAtNs = INT64_C(1) << 60;

/// How the time of a grant counts against the holder's credit.
Debit debit_of(Rule rule) {
  bool for_credit =
      rule == Rule::kWithinShare || rule == Rule::kGuarantee || rule == Rule::kReturn || rule == Rule::kDeadline;
  return for_credit ? Debit::kFull : Debit::kLent;
}

}  // namespace

Arbiter::Slice* Arbiter::find(SliceId slice) {
  for (Slice& candidate : slices_) {
    if (candidate.id == slice) return &candidate;
  }
  return nullptr;
}

const Arbiter::Slice* Arbiter::find(SliceId slice) const { return const_cast<Arbiter*>(this)->find(slice); }

int64_t Arbiter::virtual_now(Priority priority) const {
  Wide sum = 0, weights = 0;
  for (const Slice& slice : slices_) {
    if (!slice.competes || slice.terms.priority != priority) continue;
    sum += static_cast<Wide>(slice.account.vruntime_ns()) * slice.account.weight_ppm();
    weights += slice.account.weight_ppm();
  }
  return weights == 0 ? class_virtual_[static_cast<size_t>(priority)] : static_cast<int64_t>(sum / weights);
}

void Arbiter::settle(uint64_t now_ns) {
  if (now_ns <= now_ns_) return;
  uint64_t elapsed = now_ns - now_ns_;
  const Slice* occupant = find(holder_ != 0 ? holder_ : draining_);
  uint64_t used = 0;
  if (occupant != nullptr) {
    uint64_t until = occupant->busy() ? now_ns : std::min(now_ns, occupant->gap_end_ns());
    used = until > now_ns_ ? until - now_ns_ : 0;
  }
  now_ns_ = now_ns;
  bool realtime = occupant != nullptr && occupant->terms.priority == Priority::kRealtime;
  for (Slice& slice : slices_) settle_slice(slice, occupant, elapsed, realtime ? elapsed - used : elapsed, used);
  note_service(occupant, used);
  if (occupant != nullptr && occupant->account.vruntime_ns() > kRebaseAtNs) rebase(occupant->terms.priority);
}

void Arbiter::settle_slice(Slice& slice, const Slice* occupant, uint64_t elapsed_ns, uint64_t shared_ns, uint64_t used_ns) {
  bool runs = &slice == occupant;
  uint64_t own = runs ? used_ns : 0, rest = elapsed_ns - own;
  slice.account.pass(elapsed_ns, shared_ns, own, slice.busy(), debit_of(grant_.rule));
  slice.totals.ran_ns += own;
  if (rest == 0) return;
  if (!slice.busy()) {
    slice.totals.idle_ns += rest;
    if (!runs) slice.totals.lent_ns += static_cast<uint64_t>(static_cast<Wide>(used_ns) * slice.terms.share_ppm / kWholePpm);
  } else if (slice.hung) {
    slice.totals.wait(slice.id, Rule::kHung, rest);
  } else if (slice.throttled) {
    slice.totals.throttled_ns += rest;
  } else if (occupant == nullptr) {
    slice.totals.wait(0, Rule::kSwitch, rest);
  } else if (draining_ != 0) {
    slice.totals.wait(draining_, Rule::kDrain, rest);
  } else {
    slice.totals.wait(holder_, waiting_rule(grant_.rule, occupant->terms.priority, slice.terms.priority), rest);
  }
}

void Arbiter::note_service(const Slice* occupant, uint64_t used_ns) {
  std::array<bool, kPriorities> waits{};
  for (const Slice& slice : slices_) {
    if (slice.competes && &slice != occupant) waits[static_cast<size_t>(slice.terms.priority)] = true;
  }
  // Time under a guarantee is one slice's own; the others of its class have not had a turn by it.
  if (occupant != nullptr && used_ns != 0 && grant_.rule != Rule::kGuarantee)
    waits[static_cast<size_t>(occupant->terms.priority)] = false;
  for (size_t i = 0; i < kPriorities; ++i) {
    if (!waits[i]) snapshot_.unserved_since_ns[i] = now_ns_;
  }
}

void Arbiter::rebase(Priority priority) {
  int64_t by = virtual_now(priority);
  class_virtual_[static_cast<size_t>(priority)] = 0;  // the mean is the new zero
  for (Slice& slice : slices_) {
    if (slice.terms.priority == priority) slice.account.rebase(by);
  }
}

std::array<int64_t, kPriorities> Arbiter::virtual_means() const {
  std::array<int64_t, kPriorities> means{};
  for (size_t i = 0; i < kPriorities; ++i) means[i] = virtual_now(static_cast<Priority>(i));
  return means;
}

void Arbiter::divide_again(const std::array<int64_t, kPriorities>& means, SliceId moved, Priority from_class) {
  auto standings = divide(holdings());
  for (size_t i = 0; i < slices_.size(); ++i) {
    Slice& slice = slices_[i];
    int64_t to = means[static_cast<size_t>(slice.terms.priority)];
    int64_t from = slice.id == moved ? means[static_cast<size_t>(from_class)] : to;
    slice.account.restand(standings[i], slice.terms.most_ppm(), from, to);
  }
}

void Arbiter::refresh() {
  for (Slice& slice : slices_) {
    bool holds = slice.id == holder_;
    if (slice.throttled) {
      slice.throttled = slice.account.cap_ready_in_ns() != 0;
    } else {
      slice.throttled = slice.account.over_cap() || (!holds && slice.account.cap_runs_for_ns() < kLeastRunNs);
    }
    bool in_gap = holds && now_ns_ < slice.gap_end_ns();
    set_competes(slice, !slice.hung && !slice.throttled && (slice.busy() || in_gap));
  }
}

void Arbiter::set_competes(Slice& slice, bool competes) {
  if (competes == slice.competes) return;
  Priority priority = slice.terms.priority;
  if (competes) {
    slice.account.join(virtual_now(priority), now_ns_);
    slice.ready_since_ns = now_ns_;
    if (slice.id != holder_) arrival_ = true;
  } else {
    int64_t mean = virtual_now(priority);
    slice.account.leave(mean, now_ns_);
    class_virtual_[static_cast<size_t>(priority)] = mean;
  }
  slice.competes = competes;
}

size_t Arbiter::rivals(const Slice& slice) const {
  return static_cast<size_t>(
      std::ranges::count_if(slices_, [&](const Slice& other) { return other.competes && &other != &slice; }));
}

const Totals* Arbiter::totals(uint64_t now_ns, SliceId slice) {
  settle(now_ns);
  const Slice* found = find(slice);
  return found == nullptr ? nullptr : &found->totals;
}

uint64_t Arbiter::used_ns(SliceId slice) const {
  const Slice* found = find(slice);
  return found == nullptr ? 0 : found->account.used_ns();
}

bool Arbiter::is_busy(SliceId slice) const {
  const Slice* found = find(slice);
  return found != nullptr && found->busy();
}

bool Arbiter::is_sporadic(SliceId slice) const {
  const Slice* found = find(slice);
  return found != nullptr && found->gaps.is_sporadic();
}

int64_t Arbiter::lag_ns(SliceId slice) const {
  const Slice* found = find(slice);
  return found == nullptr ? 0 : found->account.lag_ns(virtual_now(found->terms.priority));
}

std::vector<Holding> Arbiter::holdings() const {
  std::vector<Holding> holdings;
  holdings.reserve(slices_.size());
  for (const Slice& slice : slices_) holdings.push_back({slice.id, slice.name, slice.terms});
  return holdings;
}

}  // namespace amalgam::core
