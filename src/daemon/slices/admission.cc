// SPDX-License-Identifier: Apache-2.0
#include "daemon/slices/admission.h"

#include <algorithm>
#include <functional>

#include "model/terms.h"

namespace amalgam::daemon {
namespace {

constexpr size_t kNamedHolders = 3;  ///< holders that a refusal names; the rest is summed

/// What others were promised of one device, the largest first.
std::vector<const Promise*> holders_of(const std::string& device, const Promise& wish, const std::vector<Promise>& others) {
  std::vector<const Promise*> holders;
  for (const Promise& other : others)
    if (other.slice != wish.slice && other.share_ppm != 0 && std::ranges::find(other.devices, device) != other.devices.end())
      holders.push_back(&other);
  std::ranges::stable_sort(holders, std::greater{}, &Promise::share_ppm);
  return holders;
}

uint64_t sum_of(const std::vector<const Promise*>& holders, size_t first = 0) {
  uint64_t sum = 0;
  for (size_t i = first; i < holders.size(); ++i) sum += holders[i]->share_ppm;
  return sum;
}

uint32_t free_beside(const std::vector<const Promise*>& holders) {
  uint64_t held = sum_of(holders);
  return held < model::kWholePpm ? static_cast<uint32_t>(model::kWholePpm - held) : 0;
}

std::string name_holders(const std::vector<const Promise*>& holders) {
  std::string text;
  for (size_t i = 0; i < std::min(holders.size(), kNamedHolders); ++i)
    text += (i == 0 ? "; " : ", ") + ("slice " + std::to_string(holders[i]->slice)) + " \"" + holders[i]->name +
            "\" holds " + model::format_percent(holders[i]->share_ppm);
  if (holders.size() > kNamedHolders)
    text += ", and " + std::to_string(holders.size() - kNamedHolders) + " more hold " +
            model::format_percent(static_cast<uint32_t>(sum_of(holders, kNamedHolders)));
  return text;
}

}  // namespace

Result<void> admit(const Promise& wish, const std::vector<Promise>& others) {
  if (wish.share_ppm == 0) return {};
  const std::string* fullest = nullptr;
  std::vector<const Promise*> holders;
  for (const std::string& device : wish.devices) {
    auto on_this = holders_of(device, wish, others);
    if (wish.share_ppm <= free_beside(on_this)) continue;
    if (fullest != nullptr && free_beside(on_this) >= free_beside(holders)) continue;
    fullest = &device;
    holders = std::move(on_this);
  }
  if (fullest == nullptr) return {};
  return fail(Code::kLimit, "a share of " + model::format_percent(wish.share_ppm) + " is asked for, but device " + *fullest +
                                " has " + model::format_percent(free_beside(holders)) + " free" + name_holders(holders));
}

}  // namespace amalgam::daemon
