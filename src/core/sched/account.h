// SPDX-License-Identifier: Apache-2.0
// Account: what one slice has used of one device, in the three forms that decisions are made from.
//
//   virtual time  used time divided by weight. V, the weighted mean over the slices of a class that compete, is what a slice
//                 of average luck would have. lag = weight * (V - own) is the time that the class owes the slice (< 0: the
//                 slice owes it). A slice that stops competing keeps its debt, and keeps a claim: the lag it had, which
//                 fades with its absence down to one quantum. So going idle neither escapes a debt nor hoards a right.
//   credit        what the slice's rate of wall time would have given it, less what it had. Looked at only between classes:
//                 whether a lower class's guarantee is behind, whether a higher class is still within its own share. Time
//                 that nobody was refused for is not held against a slice beyond kCreditFloorNs (Debit::kLent).
//   cap's budget  a bandwidth server that fills continuously with the cap's part of time and is emptied by use. Over the cap
//                 is a debt that must fill up first, however large; so a cap is exact in the long run even where one kernel
//                 is longer than the period. Full, it holds cap * (1 - cap) * period: a burst of at most 25 ms.
//
// Credit and budget are kept in ns * ppm and are exact; virtual time rounds below a nanosecond a charge.
//
// Threads: plain values.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/sched/shares.h"

namespace amalgam::core {

/// How a charge counts against the credit.
enum class Debit : uint8_t {
  kFull,  ///< the slice was preferred for its credit, so it pays with it
  kLent,  ///< it ran because its class came first or nobody else wanted to: only down to the floor
};

class Account {
 public:
  static constexpr uint64_t kCapPeriodNs = 100'000'000;
  static constexpr uint64_t kCapResumeNs = 10'000'000;      ///< a throttled slice resumes when it may run so long at once
  static constexpr int64_t kCreditBurstNs = 10'000'000;     ///< most credit of an idle slice
  static constexpr int64_t kCreditFloorNs = -10'000'000;    ///< where lent time stops counting
  static constexpr int64_t kMostCreditNs = 10'000'000'000;  ///< most that a waiting slice is owed between classes
  static constexpr int64_t kMostClaimNs = 1'000'000'000;    ///< most lag that a leaving slice keeps as a claim
  static constexpr int64_t kLeastClaimNs = 10'000'000;      ///< what absence does not take of a claim
  static constexpr uint64_t kClaimKeptNs = 10'000'000;      ///< absence that does not count
  static constexpr uint64_t kNeverNs = UINT64_MAX;
  static constexpr int64_t kLongAgoNs = INT64_MIN / 4;  ///< earlier virtual times differ from it in nothing

  /// For a slice that begins to compete in a class whose mean is `virtual_now`.
  Account(const Standing& standing, uint32_t cap_ppm, int64_t virtual_now);

  /// Lets `elapsed_ns` pass, of which the slice used `used_ns`. `shared_ns` of it was not taken by the realtime class;
  /// `wants`: the slice wanted the device.
  void pass(uint64_t elapsed_ns, uint64_t shared_ns, uint64_t used_ns, bool wants, Debit debit);
  /// The device itself says that the slice used more (or less, < 0) than was charged.
  void correct(int64_t delta_ns);

  /// Stops competing at mean `virtual_now`; `join` begins again.
  void leave(int64_t virtual_now, uint64_t now_ns);
  void join(int64_t virtual_now, uint64_t now_ns);
  /// New terms, the lag staying what it was: `from` and `to` are the means of its old and new class.
  void restand(const Standing& standing, uint32_t cap_ppm, int64_t from, int64_t to);
  /// Moves the origin of virtual time, to keep numbers small. All accounts of a class together.
  void rebase(int64_t by) { vruntime_ns_ -= std::min(by, vruntime_ns_ - kLongAgoNs); }

  int64_t vruntime_ns() const { return vruntime_ns_; }
  int64_t lag_ns(int64_t virtual_now) const;
  int64_t credit_ns() const { return credit_ / kWholePpm; }
  uint32_t weight_ppm() const { return weight_ppm_; }
  uint64_t used_ns() const { return used_ns_; }

  bool capped() const { return cap_ppm_ < kWholePpm; }
  bool over_cap() const { return capped() && budget_ <= 0; }
  /// How long it may run from now on without a break; kNeverNs without a cap.
  uint64_t cap_runs_for_ns() const;
  /// How long it must wait before it may run for a quantum.
  uint64_t cap_ready_in_ns() const;

 private:
  int64_t budget_limit() const;
  int64_t resume_level() const;

  uint32_t weight_ppm_ = kWholePpm, rate_ppm_ = 0, cap_ppm_ = kWholePpm;
  uint64_t used_ns_ = 0;
  int64_t vruntime_ns_ = 0;
  int64_t claim_ns_ = 0;
  uint64_t left_ns_ = 0;
  int64_t credit_ = 0, budget_ = 0;  ///< ns * ppm
};

}  // namespace amalgam::core
