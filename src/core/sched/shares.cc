// SPDX-License-Identifier: Apache-2.0
#include "core/sched/shares.h"

#include <algorithm>
#include <array>
#include <functional>

namespace amalgam::core {
namespace {

constexpr size_t kNamedHolders = 3;  ///< holders that a refusal names; the rest is summed

// How classes divide the rest for their rates: an urgent class is expected to need more of it at once. Realtime needs no
// rate, because nobody goes before it; idle has none, because it goes before nobody.
constexpr std::array<uint64_t, kPriorities> kClassWeight = {0, 16, 4, 1, 0};

/// What others hold, the largest first.
std::vector<const Holding*> holders_of(std::span<const Holding> others, SliceId slice) {
  std::vector<const Holding*> holders;
  for (const Holding& other : others)
    if (other.slice != slice && other.terms.share_ppm != 0) holders.push_back(&other);
  std::ranges::stable_sort(holders, std::greater{}, [](const Holding* holder) { return holder->terms.share_ppm; });
  return holders;
}

uint64_t sum_of(std::span<const Holding* const> holders) {
  uint64_t sum = 0;
  for (const Holding* holder : holders) sum += holder->terms.share_ppm;
  return sum;
}

uint32_t rest_of(std::span<const Holding* const> holders) {
  return kWholePpm - static_cast<uint32_t>(std::min<uint64_t>(sum_of(holders), kWholePpm));
}

std::string name_holders(std::span<const Holding* const> holders) {
  std::string text;
  const size_t named = std::min(holders.size(), kNamedHolders);
  for (const Holding* holder : holders.first(named))
    text += (text.empty() ? "; slice " : ", slice ") + std::to_string(holder->slice) + " \"" + holder->name + "\" holds " +
            format_percent(holder->terms.share_ppm);
  if (holders.size() > named)
    text += ", and " + std::to_string(holders.size() - named) + " more hold " +
            format_percent(static_cast<uint32_t>(sum_of(holders.subspan(named))));
  return text;
}

}  // namespace

uint32_t free_ppm(std::span<const Holding> others, SliceId slice) { return rest_of(holders_of(others, slice)); }

Result<void> admit(std::span<const Holding> others, const Holding& asked, std::string_view device) {
  if (auto good = model::check(asked.terms); !good) return good;
  const auto holders = holders_of(others, asked.slice);
  const uint32_t free = rest_of(holders);
  if (asked.terms.share_ppm <= free) return {};
  return fail(Code::kLimit, "a share of " + format_percent(asked.terms.share_ppm) + " is asked for, but " +
                                std::string(device) + " has " + format_percent(free) + " free" + name_holders(holders));
}

std::vector<Standing> divide(std::span<const Holding> holdings) {
  uint64_t guaranteed = 0, all_rates = 0;
  std::array<uint64_t, kPriorities> class_weights{};
  for (const Holding& holding : holdings) {
    auto of_class = static_cast<size_t>(holding.terms.priority);
    guaranteed += holding.terms.share_ppm;
    if (holding.terms.share_ppm != 0) continue;
    class_weights[of_class] += holding.terms.weight;
    all_rates += holding.terms.weight * kClassWeight[of_class];
  }
  uint64_t rest = kWholePpm - std::min<uint64_t>(guaranteed, kWholePpm);
  uint64_t weighed = std::max<uint64_t>(rest, kLeastRestPpm);
  std::vector<Standing> standings;
  standings.reserve(holdings.size());
  for (const Holding& holding : holdings) {
    const Terms& terms = holding.terms;
    auto of_class = static_cast<size_t>(terms.priority);
    Standing standing{terms.share_ppm, terms.share_ppm};
    if (terms.share_ppm == 0) {
      standing.weight_ppm = static_cast<uint32_t>(weighed * terms.weight / class_weights[of_class]);
      standing.rate_ppm =
          all_rates == 0 ? 0 : static_cast<uint32_t>(rest * terms.weight * kClassWeight[of_class] / all_rates);
    }
    standing.weight_ppm = std::max(standing.weight_ppm, kLeastWeightPpm);
    standings.push_back(standing);
  }
  return standings;
}

}  // namespace amalgam::core
