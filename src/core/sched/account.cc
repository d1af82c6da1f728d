// SPDX-License-Identifier: Apache-2.0
#include "core/sched/account.h"

#include <algorithm>

namespace amalgam::core {
namespace {

using Wide = __int128;
constexpr int64_t kPpm = kWholePpm;
constexpr int64_t kMostBudget = INT64_MAX / 4;  ///< two months of debt at ns * ppm would not fit; nothing waits that long

int64_t scaled(int64_t ns, int64_t by, int64_t over) { return static_cast<int64_t>(static_cast<Wide>(ns) * by / over); }

}  // namespace

Account::Account(const Standing& standing, uint32_t cap_ppm, int64_t virtual_now)
    : weight_ppm_(standing.weight_ppm), rate_ppm_(standing.rate_ppm), cap_ppm_(cap_ppm), vruntime_ns_(virtual_now) {
  budget_ = budget_limit();
}

int64_t Account::budget_limit() const {
  return static_cast<int64_t>(kCapPeriodNs) * (static_cast<int64_t>(cap_ppm_) * (kPpm - cap_ppm_) / kPpm);
}

int64_t Account::resume_level() const {
  return std::min(budget_limit(), static_cast<int64_t>(kCapResumeNs) * (kPpm - cap_ppm_));
}

void Account::pass(uint64_t elapsed_ns, uint64_t shared_ns, uint64_t used_ns, bool wants, Debit debit) {
  auto elapsed = static_cast<int64_t>(elapsed_ns), shared = static_cast<int64_t>(shared_ns);
  auto used = static_cast<int64_t>(used_ns);
  used_ns_ += used_ns;
  vruntime_ns_ += scaled(used, kPpm, weight_ppm_);

  Wide filled = static_cast<Wide>(budget_) + static_cast<Wide>(elapsed) * cap_ppm_ - static_cast<Wide>(used) * kPpm;
  budget_ = static_cast<int64_t>(std::clamp<Wide>(filled, -kMostBudget, budget_limit()));

  Wide before = credit_, after = before + static_cast<Wide>(shared) * rate_ppm_ - static_cast<Wide>(used) * kPpm;
  Wide floor = static_cast<Wide>(kCreditFloorNs) * kPpm;
  if (debit == Debit::kLent) after = std::max(after, std::min(before, floor));
  Wide burst = static_cast<Wide>(kCreditBurstNs) * kPpm;
  Wide limit = wants ? static_cast<Wide>(kMostCreditNs) * kPpm : std::max(burst, before - static_cast<Wide>(elapsed) * kPpm);
  credit_ = static_cast<int64_t>(std::clamp<Wide>(after, -kMostBudget, std::min<Wide>(limit, kMostBudget)));
}

void Account::correct(int64_t delta_ns) {
  if (delta_ns < 0) delta_ns = std::max(delta_ns, -static_cast<int64_t>(used_ns_));
  used_ns_ += static_cast<uint64_t>(delta_ns);
  vruntime_ns_ += scaled(delta_ns, kPpm, weight_ppm_);
  Wide change = static_cast<Wide>(delta_ns) * kPpm;
  budget_ = static_cast<int64_t>(std::clamp<Wide>(budget_ - change, -kMostBudget, budget_limit()));
  credit_ = static_cast<int64_t>(std::clamp<Wide>(credit_ - change, -kMostBudget, kMostBudget));
}

int64_t Account::lag_ns(int64_t virtual_now) const { return scaled(virtual_now - vruntime_ns_, weight_ppm_, kPpm); }

void Account::leave(int64_t virtual_now, uint64_t now_ns) {
  claim_ns_ = std::clamp<int64_t>(lag_ns(virtual_now), 0, kMostClaimNs);
  left_ns_ = now_ns;
}

void Account::join(int64_t virtual_now, uint64_t now_ns) {
  uint64_t absent = now_ns > left_ns_ ? now_ns - left_ns_ : 0;
  uint64_t counted = absent > kClaimKeptNs ? std::min<uint64_t>(absent - kClaimKeptNs, kMostClaimNs) : 0;
  int64_t faded = std::max(std::min(claim_ns_, kLeastClaimNs), claim_ns_ - static_cast<int64_t>(counted));
  vruntime_ns_ = std::max(vruntime_ns_, virtual_now - scaled(faded, kPpm, weight_ppm_));
}

void Account::restand(const Standing& standing, uint32_t cap_ppm, int64_t from, int64_t to) {
  if (standing.weight_ppm != weight_ppm_ || from != to) {
    int64_t lag = lag_ns(from);
    weight_ppm_ = standing.weight_ppm;
    vruntime_ns_ = to - scaled(lag, kPpm, weight_ppm_);
  }
  rate_ppm_ = standing.rate_ppm;
  if (cap_ppm == cap_ppm_) return;
  // Without a cap nothing was counted, so a new cap begins with a full budget; one cap after another keeps the debt.
  bool fresh = !capped();
  cap_ppm_ = cap_ppm;
  budget_ = fresh ? budget_limit() : std::min(budget_, budget_limit());
}

uint64_t Account::cap_runs_for_ns() const {
  if (!capped()) return kNeverNs;
  return budget_ <= 0 ? 0 : static_cast<uint64_t>(budget_ / (kPpm - cap_ppm_)) + 1;
}

uint64_t Account::cap_ready_in_ns() const {
  int64_t missing = resume_level() - budget_;
  return !capped() || missing <= 0 ? 0 : static_cast<uint64_t>((missing + cap_ppm_ - 1) / cap_ppm_);
}

}  // namespace amalgam::core
