// SPDX-License-Identifier: Apache-2.0
// Arbiter: the state machine of one device: who holds it, until when, and why. Devices share nothing; each has its own.
//
//   add, terms, observe, drained ──▶ accounts, who competes ──▶ policy ──▶ step(): grant(slice, until) · revoke · hung
//                                                                                  + when to call step() again
//
//   FREE ──grant──▶ HELD ──revoke, freezable device──▶ FREE            at most one slice holds the device;
//                    └────revoke, other device──▶ DRAINING ──drained or hung──▶ FREE      its sessions run together
//
// How it is bound: call step() after every input, and at next_wake_ns; carry out its actions in their order. On a freezable
// device (freezing the worker stops its kernels) a revoke takes effect at once, and what was in flight goes on at the
// slice's next grant. On others a revoked worker starts nothing new, and drained() is called when nothing of it is left on
// the device. Until then nobody else is granted, so an urgent slice waits for the pieces in flight and no longer. A slice
// that is not drained within hang_after_ns is reported as hung and no longer waited for; whoever binds the arbiter ends it.
//
// Alone costs nothing: a slice that nobody competes with holds an open-ended grant, without a timer. When a second one
// comes, the grant ends a quantum after it began, or at once.
//
// A gap is not idleness. A slice that holds the device and has no work keeps it for a tolerance that is learned from its own
// gaps (gap.h) and is charged for it. Beyond that, if others compete, it loses the rest of its quantum: the device is lent.
// It keeps its debts and a claim (account.h), and as a slice that returns within its share it is the next of its class to
// run: at once on a device that is held open-ended, else within one quantum. A more urgent slice preempts when it begins to
// compete, not later: one that was passed over under a rule waits for the end of that quantum. The quantum of a starved
// class is not preempted.
//
// Charged is the time that a slice holds the device with work or in a tolerated gap, and after a revoke until it is drained:
// debt that it pays back. correct() adds what the device itself knows better.
//
// Threads: none of its own, not thread-safe. Nothing blocks, no clock is read: time comes in, and never runs backwards (an
// earlier now_ns counts as the latest one).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "core/sched/account.h"
#include "core/sched/explain.h"
#include "core/sched/gap.h"
#include "core/sched/policy.h"
#include "core/sched/shares.h"

namespace amalgam::core {

class Arbiter {
 public:
  static constexpr uint64_t kForeverNs = UINT64_MAX;
  /// A slice that was idle for so long returns; a shorter pause is a gap.
  static constexpr uint64_t kReturnAfterNs = GapEstimator::kMostNs;
  /// A capped slice that could run for less is not started.
  static constexpr uint64_t kLeastRunNs = 500'000;

  struct Options {
    bool freezable = false;
    Hints hints;  ///< its quantum is at most kLongestQuantumMs
    uint64_t hang_after_ns = kHangAfterMs * 1'000'000;
  };
  struct Observation {
    bool pending = false;      ///< has work that is not on the device
    bool in_flight = false;    ///< has work on the device (frozen work counts)
    uint64_t idle_for_ns = 0;  ///< with neither: for how long that has been so already
    uint64_t oldest_ns = 0;    ///< when its oldest unfinished launch came; 0: when it began to want the device
  };
  enum class ActionKind : uint8_t { kGrant, kRevoke, kHung };
  struct Action {
    ActionKind kind = ActionKind::kGrant;
    SliceId slice = 0;
    /// kGrant: may run until then unless revoked earlier; kForeverNs: until revoked. A grant to the holder extends or ends
    /// its own: it replaces the time.
    uint64_t until_ns = 0;
    Rule rule = Rule::kNone;
  };
  struct Step {
    uint64_t next_wake_ns = kForeverNs;
    size_t count = 0;
    std::array<Action, 4> actions;
    const Action* begin() const { return actions.data(); }
    const Action* end() const { return actions.data() + count; }
  };

  Arbiter(const Options& options, uint64_t now_ns);

  /// kLimit: shares would pass 100 %, or too many slices; kInvalidArgument: the terms, or the id is taken or 0.
  Result<void> add_slice(uint64_t now_ns, SliceId slice, std::string name, const Terms& terms);
  /// The slice and all that it had on the device are gone. Unknown slices are ignored here and in the inputs below, since
  /// reports may cross a removal.
  void remove_slice(uint64_t now_ns, SliceId slice);
  /// As add_slice; kNotFound. Takes effect at the next step(). Debts, claims and totals stay.
  Result<void> set_terms(uint64_t now_ns, SliceId slice, const Terms& terms);
  /// kNotFound names all policies. No account is lost.
  Result<void> set_policy(uint64_t now_ns, std::string_view name);

  void observe(uint64_t now_ns, SliceId slice, const Observation& observation);
  /// After a revoke: nothing of the slice is on the device any more. Also ends "hung".
  void drained(uint64_t now_ns, SliceId slice);
  /// The device measured that the slice used more (< 0: less) than was charged.
  void correct(uint64_t now_ns, SliceId slice, int64_t delta_ns);
  /// The device was lost: nothing is on it, no grant holds, nobody wants it until observed again.
  void lose_device(uint64_t now_ns);

  Step step(uint64_t now_ns);

  SliceId holder() const { return holder_; }
  SliceId draining() const { return draining_; }
  /// When whoever held the device last stopped, and why. While somebody holds it: whoever did before.
  uint64_t vacated_ns() const { return vacated_ns_; }
  End vacated_why() const { return ended_; }
  /// What observe() said last: it has work, waiting or in flight.
  bool is_busy(SliceId slice) const;
  /// Whether the slice, once it has no work, usually has none for long: it should be looked at soon.
  bool is_sporadic(SliceId slice) const;
  std::string_view policy() const { return policy_->name; }
  const History& history() const { return history_; }
  /// Totals up to `now_ns`; nullptr if there is no such slice. Valid until the next call.
  const Totals* totals(uint64_t now_ns, SliceId slice);
  /// What the slice was charged up to the last input; 0 if there is no such slice.
  uint64_t used_ns(SliceId slice) const;
  /// Service that its class owes the slice (< 0: it owes), for tests and explanations.
  int64_t lag_ns(SliceId slice) const;
  std::vector<Holding> holdings() const;

 private:
  struct Slice {
    SliceId id;
    std::string name;
    Terms terms;
    Account account;
    Totals totals;
    GapEstimator gaps;
    bool pending = false, in_flight = false;
    bool competes = false, throttled = false, hung = false, returned = false;
    bool was_busy = false;
    bool ousted = false;  ///< the device was taken from it, for another reason than that it was idle
    uint64_t idle_since_ns = 0, wants_since_ns = 0, ready_since_ns = 0;

    bool busy() const { return pending || in_flight; }
    uint64_t gap_end_ns() const { return idle_since_ns + gaps.tolerance_ns(); }
  };
  struct Grant {
    uint64_t since_ns = 0, until_ns = kForeverNs;
    Rule rule = Rule::kNone;
  };

  Slice* find(SliceId slice);
  const Slice* find(SliceId slice) const;
  int64_t virtual_now(Priority priority) const;
  std::array<int64_t, kPriorities> virtual_means() const;
  void settle(uint64_t now_ns);
  void settle_slice(Slice& slice, const Slice* occupant, uint64_t elapsed_ns, uint64_t shared_ns, uint64_t used_ns);
  void note_service(const Slice* occupant, uint64_t used_ns);
  void rebase(Priority priority);
  /// Shares or weights changed. `means`: of the classes before that, about which lags are kept; `moved` was in `from_class`.
  void divide_again(const std::array<int64_t, kPriorities>& means, SliceId moved, Priority from_class);
  void refresh();
  void set_competes(Slice& slice, bool competes);
  size_t rivals(const Slice& slice) const;
  Decision choose();
  void keep_or_revoke(Slice& holder, Step& out);
  bool preempts(const Decision& decision, const Slice& holder) const;
  void grant(Slice& slice, const Decision& decision, Step& out);
  void revoke(Slice& slice, End why, Step& out);
  void wait_for_drain(Step& out);
  void vacate(End why);
  uint64_t next_wake() const;
  void act(Step& out, const Action& action);

  Options options_;
  const Policy* policy_;
  std::vector<Slice> slices_;
  std::array<int64_t, kPriorities> class_virtual_{};  ///< where the next one begins in a class where nobody competes
  Snapshot snapshot_;                                 ///< kept for its memory and for unserved_since_ns
  History history_;
  Grant grant_;  ///< of the holder, or of the slice that drains
  SliceId holder_ = 0, draining_ = 0, previous_ = 0;
  End ended_ = End::kNone;
  uint64_t vacated_ns_ = 0;  ///< when `previous_` stopped
  uint64_t drain_deadline_ns_ = kForeverNs;
  uint64_t now_ns_ = 0;
  bool arrival_ = false;  ///< somebody began to compete since the last choice
};

}  // namespace amalgam::core
