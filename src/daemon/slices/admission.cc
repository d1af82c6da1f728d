// SPDX-License-Identifier: Apache-2.0
#include "daemon/slices/admission.h"

#include <algorithm>

#include "core/sched/shares.h"

namespace amalgam::daemon {
namespace {

core::Holding holding_of(const Promise& promise) { return {promise.slice, promise.name, promise.terms}; }

std::vector<core::Holding> holdings_on(const std::string& device, const std::vector<Promise>& promises) {
  std::vector<core::Holding> holdings;
  for (const Promise& promise : promises)
    if (std::ranges::find(promise.devices, device) != promise.devices.end()) holdings.push_back(holding_of(promise));
  return holdings;
}

}  // namespace

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
