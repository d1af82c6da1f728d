// SPDX-License-Identifier: Apache-2.0
#include "daemon/slices/admission.h"

#include <algorithm>

#include "core/sched/shares.h"

namespace amalgam::daemon {
namespace {

bool has(const Promise& promise, const std::string& device) {
  return std::ranges::find(promise.devices, device) != promise.devices.end();
}

core::Holding holding_of(const Promise& promise) { return {promise.slice, promise.name, promise.terms}; }

std::vector<core::Holding> holdings_on(const std::string& device, const std::vector<Promise>& promises) {
  std::vector<core::Holding> holdings;
  for (const Promise& promise : promises)
    if (has(promise, device)) holdings.push_back(holding_of(promise));
  return holdings;
}

std::string percent(uint64_t ppm) { return format_percent(static_cast<uint32_t>(ppm)); }

}  // namespace

Result<void> check_ceilings(const Promise& wish, const std::vector<Promise>& others, const Ceilings& ceilings) {
  const uint64_t asked = wish.terms.share_ppm;
  auto before = std::ranges::find(others, wish.slice, &Promise::slice);
  if (!wish.bounded || asked <= (before == others.end() ? 0 : before->terms.share_ppm)) return {};
  for (const std::string& device : wish.devices) {
    uint64_t own = 0, all = 0;
    for (const Promise& other : others) {
      if (other.slice == wish.slice || !other.bounded || !has(other, device)) continue;
      all += other.terms.share_ppm;
      own += other.owner == wish.owner ? other.terms.share_ppm : 0;
    }
    const bool is_own = own + asked > ceilings.user_ppm;
    if (!is_own && all + asked <= ceilings.users_ppm) continue;
    return fail(Code::kLimit,
                std::string(is_own ? "user-share-ppm" : "users-share-ppm") + ": a share of " + percent(asked) +
                    " is asked for, but of device " + device +
                    (is_own ? " one user may have " + percent(ceilings.user_ppm)
                            : " all users together may have " + percent(ceilings.users_ppm) + " and hold " + percent(all)) +
                    "; your other slices hold " + percent(own) + ": ask for less, or lower theirs with `amalgam set`");
  }
  return {};
}

Result<void> admit(const Promise& wish, const std::vector<Promise>& others) {
  const std::string* fullest = nullptr;
  uint32_t least = kWholePpm;
  for (const std::string& device : wish.devices) {
    const uint32_t free = core::free_ppm(holdings_on(device, others), wish.slice);
    if (fullest == nullptr || free < least) fullest = &device, least = free;
  }
  if (fullest == nullptr) return model::check(wish.terms);
  return core::admit(holdings_on(*fullest, others), holding_of(wish), "device " + *fullest);
}

}  // namespace amalgam::daemon
