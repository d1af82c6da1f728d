// SPDX-License-Identifier: Apache-2.0
#include "core/sched/terms.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

namespace amalgam::core {
namespace {

constexpr size_t kNamedHolders = 3;  ///< holders that a refusal names; the rest is summed

// How classes divide the rest for their rates: an urgent class is expected to need more of it at once. Realtime needs no
// rate, because nobody goes before it; idle has none, because it goes before nobody.
constexpr std::array<uint64_t, kPriorities> kClassWeight = {0, 16, 4, 1, 0};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// A plain decimal number, all of `text`.
std::optional<double> number(std::string_view text) {
  text = trimmed(text);
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::optional<double> duration_ns(std::string_view text) {
  struct Unit {
    std::string_view name;
    double ns;
  };
  static constexpr Unit kUnits[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.name)) continue;
    auto value = number(text.substr(0, text.size() - unit.name.size()));
    if (value) return *value * unit.ns;
  }
  return std::nullopt;
}

}  // namespace

Terms terms_of(const model::Terms& written) {
  Terms terms;
  terms.share_ppm = written.share_ppm;
  if (written.cap_ppm != 0) terms.cap_ppm = written.cap_ppm;
  terms.priority = written.priority;
  terms.slo.bound_ns = written.slo_p99_ns;
  return terms;
}

Result<uint32_t> parse_part(std::string_view text) {
  std::string_view digits = trimmed(text);
  bool percent = digits.ends_with('%');
  if (percent) digits.remove_suffix(1);
  auto value = number(digits);
  if (!value || *value < 0 || *value > (percent ? 100 : 1))
    return fail(Code::kInvalidArgument, quoted(text) + " is no part of a device: write 30% or 0.3, at most 100%");
  return static_cast<uint32_t>(*value * (percent ? 10'000 : kWholePpm) + 0.5);
}

Result<Slo> parse_slo(std::string_view text) {
  auto wrong = [&] { return fail(Code::kInvalidArgument, quoted(text) + " is no goal: write p99=5ms (us, ms or s)"); };
  size_t equals = text.find('=');
  if (!text.starts_with('p') || equals == std::string_view::npos) return wrong();
  auto quantile = number(text.substr(1, equals - 1));
  auto bound = duration_ns(trimmed(text.substr(equals + 1)));
  if (!quantile || !bound || *quantile <= 0 || *quantile >= 100 || *bound < 1 || *bound > 1e15) return wrong();
  return Slo{.quantile_ppm = static_cast<uint32_t>(*quantile * 10'000 + 0.5), .bound_ns = static_cast<uint64_t>(*bound)};
}

std::string milliseconds_text(uint64_t ns) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g ms", static_cast<double>(ns) / 1e6);
  return text;
}

std::string part_text(uint32_t ppm) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", static_cast<double>(ppm) / 10'000);
  std::string result = text;
  while (result.back() == '0') result.pop_back();
  if (result.back() == '.') result.pop_back();
  return result + " %";
}

Result<void> check_terms(const Terms& terms) {
  auto wrong = [](std::string text) { return fail(Code::kInvalidArgument, std::move(text)); };
  if (terms.share_ppm > kWholePpm) return wrong("a share is at most 100 %");
  if (terms.share_ppm != 0 && terms.share_ppm < kLeastSharePpm)
    return wrong("share " + part_text(terms.share_ppm) + " is too small: at least " + part_text(kLeastSharePpm) +
                 ", or none");
  if (terms.cap_ppm > kWholePpm) return wrong("a cap is at most 100 %, which is no cap");
  if (terms.cap_ppm < kLeastSharePpm)
    return wrong("cap " + part_text(terms.cap_ppm) + " is too small: at least " + part_text(kLeastSharePpm));
  if (terms.share_ppm > terms.cap_ppm)
    return wrong("share " + part_text(terms.share_ppm) + " is over its own cap " + part_text(terms.cap_ppm));
  if (terms.weight == 0 || terms.weight > kMostWeight) return wrong("a weight is from 1 to " + std::to_string(kMostWeight));
  if (static_cast<size_t>(terms.priority) >= kPriorities) return wrong("there is no such priority");
  if (terms.slo.bound_ns == 0) return {};
  if (terms.slo.bound_ns < kLeastSloNs || terms.slo.bound_ns > kMostSloNs)
    return wrong("a latency goal is from 50 us to 60 s");
  if (terms.slo.quantile_ppm < 500'000 || terms.slo.quantile_ppm > 999'900)
    return wrong("a latency goal is for a quantile from p50 to p99.99");
  if (terms.priority == Priority::kIdle) return wrong("a slice of priority idle cannot have a latency goal");
  return {};
}

Result<void> admit(std::span<const Holding> others, const Holding& asked) {
  AMALGAM_TRY(check_terms(asked.terms), "slice " + quoted(asked.name));
  std::vector<const Holding*> holders;
  uint64_t held = 0;
  for (const Holding& other : others) {
    if (other.slice == asked.slice || other.terms.share_ppm == 0) continue;
    holders.push_back(&other);
    held += other.terms.share_ppm;
  }
  if (asked.terms.share_ppm == 0 || held + asked.terms.share_ppm <= kWholePpm) return {};
  std::ranges::stable_sort(holders, std::greater{}, [](const Holding* holder) { return holder->terms.share_ppm; });
  std::string text = "slice " + quoted(asked.name) + " asks for " + part_text(asked.terms.share_ppm) +
                     " of the device, but " +
                     part_text(static_cast<uint32_t>(kWholePpm - std::min<uint64_t>(held, kWholePpm))) + " is free";
  uint64_t named = 0;
  for (size_t i = 0; i < std::min(holders.size(), kNamedHolders); ++i) {
    named += holders[i]->terms.share_ppm;
    text +=
        (i == 0 ? "; slice " : ", slice ") + quoted(holders[i]->name) + " holds " + part_text(holders[i]->terms.share_ppm);
  }
  if (holders.size() > kNamedHolders)
    text += ", and " + std::to_string(holders.size() - kNamedHolders) + " more hold " +
            part_text(static_cast<uint32_t>(held - named));
  return fail(Code::kLimit, std::move(text));
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
