// SPDX-License-Identifier: Apache-2.0
#include "model/terms.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/limits.h"

namespace amalgam::model {
namespace {

constexpr double kPpmPerPercent = 10'000;
constexpr std::string_view kNone = "none";

struct TimeUnit {
  std::string_view name;
  uint64_t ns;
};
constexpr TimeUnit kTimeUnits[] = {{"s", 1'000'000'000}, {"ms", 1'000'000}, {"us", 1'000}, {"ns", 1}};

/// A plain decimal number at the start of `text`, which then begins after it. Signs and exponents are not numbers here.
bool take_number(std::string_view& text, double& number) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

/// "5", "12.5": as many decimals as say something, at most `decimals`.
std::string plain(double number, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, number);
  std::string out = text;
  if (out.find('.') == std::string::npos) return out;
  out.erase(out.find_last_not_of('0') + 1);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

std::string format_time(uint64_t ns) {
  for (const TimeUnit& unit : kTimeUnits)
    if (ns >= unit.ns) return plain(static_cast<double>(ns) / static_cast<double>(unit.ns), 6) + std::string(unit.name);
  return "0";
}

std::string percent_range() { return "between " + format_percent(kMinSharePpm) + " and 100%"; }
std::string slo_range() { return "between " + format_time(kMinSloNs) + " and " + format_time(kMaxSloNs); }

bool is_fraction(uint32_t ppm) { return ppm == 0 || (ppm >= kMinSharePpm && ppm <= kWholePpm); }

}  // namespace

void TermsPatch::fill_from(const TermsPatch& other) {
  if (!gives(Term::kShare) && other.gives(Term::kShare)) set_share(other.terms.share_ppm);
  if (!gives(Term::kCap) && other.gives(Term::kCap)) set_cap(other.terms.cap_ppm);
  if (!gives(Term::kPriority) && other.gives(Term::kPriority)) set_priority(other.terms.priority);
  if (!gives(Term::kSlo) && other.gives(Term::kSlo)) set_slo(other.terms.slo_p99_ns);
  if (!gives(Term::kMemory) && other.gives(Term::kMemory)) set_memory(other.memory_bytes);
}

void TermsPatch::apply(Terms& to, uint64_t& quota_bytes) const {
  if (gives(Term::kShare)) to.share_ppm = terms.share_ppm;
  if (gives(Term::kCap)) to.cap_ppm = terms.cap_ppm;
  if (gives(Term::kPriority)) to.priority = terms.priority;
  if (gives(Term::kSlo)) to.slo_p99_ns = terms.slo_p99_ns;
  if (gives(Term::kMemory)) quota_bytes = memory_bytes;
}

Result<void> check(const Terms& terms) {
  if (!is_fraction(terms.share_ppm))
    return fail(Code::kInvalidArgument, "share " + format_percent(terms.share_ppm) + ": " + percent_range());
  if (!is_fraction(terms.cap_ppm))
    return fail(Code::kInvalidArgument, "cap " + format_percent(terms.cap_ppm) + ": " + percent_range());
  if (terms.cap_ppm != 0 && terms.cap_ppm < terms.share_ppm)
    return fail(Code::kInvalidArgument, "cap " + format_percent(terms.cap_ppm) + " is below share " +
                                            format_percent(terms.share_ppm) + "; raise the cap, or lower the share");
  if (static_cast<uint8_t>(terms.priority) >= std::size(kPriorities))
    return fail(Code::kInvalidArgument, "priority " + std::to_string(static_cast<unsigned>(terms.priority)) + " is none");
  if (terms.slo_p99_ns != 0 && (terms.slo_p99_ns < kMinSloNs || terms.slo_p99_ns > kMaxSloNs))
    return fail(Code::kInvalidArgument, "slo " + format_slo(terms.slo_p99_ns) + ": " + slo_range());
  return {};
}

std::string_view priority_name(Priority priority) {
  switch (priority) {
    case Priority::kRealtime: return "realtime";
    case Priority::kHigh: return "high";
    case Priority::kNormal: return "normal";
    case Priority::kLow: return "low";
    case Priority::kIdle: return "idle";
  }
  return "unknown";
}

std::string format_percent(uint32_t ppm) { return plain(ppm / kPpmPerPercent, 4) + "%"; }

std::string format_slo(uint64_t p99_ns) { return p99_ns == 0 ? std::string(kNone) : "p99=" + format_time(p99_ns); }

Result<Priority> parse_priority(std::string_view text) {
  for (Priority priority : kPriorities)
    if (text == priority_name(priority)) return priority;
  return fail(Code::kInvalidArgument, "one of realtime, high, normal, low, idle");
}

Result<uint32_t> parse_percent(std::string_view text) {
  if (text == kNone) return 0;
  double percent = 0;
  if (!take_number(text, percent)) return fail(Code::kInvalidArgument, "per cent, such as 30% or 12.5%, or none");
  if (text != "%") return fail(Code::kInvalidArgument, "per cent, with its sign, such as 30% or 12.5%, or none");
  double ppm = std::round(percent * kPpmPerPercent);
  if (!(ppm >= kMinSharePpm) || ppm > kWholePpm) return fail(Code::kInvalidArgument, percent_range());
  return static_cast<uint32_t>(ppm);
}

Result<uint64_t> parse_slo(std::string_view text) {
  if (text == kNone) return 0;
  constexpr std::string_view kPrefix = "p99=";
  double number = 0;
  if (text.starts_with(kPrefix)) {
    text.remove_prefix(kPrefix.size());
    if (take_number(text, number))
      for (const TimeUnit& unit : kTimeUnits) {
        if (text != unit.name) continue;
        double ns = std::round(number * static_cast<double>(unit.ns));
        if (!(ns >= kMinSloNs) || ns > kMaxSloNs) return fail(Code::kInvalidArgument, slo_range());
        return static_cast<uint64_t>(ns);
      }
  }
  return fail(Code::kInvalidArgument, "a latency for 99 of 100 launches, such as p99=5ms or p99=800us, or none");
}

}  // namespace amalgam::model
