// SPDX-License-Identifier: Apache-2.0
#include "model/terms.h"

#include "base/limits.h"

namespace amalgam::model {
namespace {

constexpr std::string_view kNone = "none";
constexpr uint32_t kLeastQuantilePpm = 500'000, kMostQuantilePpm = 999'900;

std::string part_range() { return "between " + format_percent(kMinSharePpm) + " and 100%"; }
std::string slo_range() { return "between " + format_time(kMinSloNs) + " and " + format_time(kMaxSloNs); }

bool is_part(uint32_t ppm) { return ppm == 0 || (ppm >= kMinSharePpm && ppm <= kWholePpm); }

std::string percentile(uint32_t ppm) {
  std::string text = format_percent(ppm);
  text.pop_back();
  return "p" + text;
}

Result<void> check_slo(const Slo& slo, Priority priority) {
  if (slo.bound_ns == 0) return {};
  if (slo.bound_ns < kMinSloNs || slo.bound_ns > kMaxSloNs)
    return fail(Code::kInvalidArgument, "slo " + format_slo(slo) + ": " + slo_range());
  if (slo.quantile_ppm < kLeastQuantilePpm || slo.quantile_ppm > kMostQuantilePpm)
    return fail(Code::kInvalidArgument, "slo " + format_slo(slo) + ": for p50 to p99.99 of the launches");
  if (priority == Priority::kIdle)
    return fail(Code::kInvalidArgument, "slo " + format_slo(slo) +
                                            " with priority idle: who goes before nobody cannot keep a latency; raise the "
                                            "priority, or give no slo");
  return {};
}

}  // namespace

void TermsPatch::fill_from(const TermsPatch& other) {
  if (!gives(Term::kShare) && other.gives(Term::kShare)) set_share(other.terms.share_ppm);
  if (!gives(Term::kCap) && other.gives(Term::kCap)) set_cap(other.terms.cap_ppm);
  if (!gives(Term::kPriority) && other.gives(Term::kPriority)) set_priority(other.terms.priority);
  if (!gives(Term::kSlo) && other.gives(Term::kSlo)) set_slo(other.terms.slo);
  if (!gives(Term::kMemory) && other.gives(Term::kMemory)) set_memory(other.memory_bytes);
}

void TermsPatch::apply(Terms& to, uint64_t& quota_bytes) const {
  if (gives(Term::kShare)) to.share_ppm = terms.share_ppm;
  if (gives(Term::kCap)) to.cap_ppm = terms.cap_ppm;
  if (gives(Term::kPriority)) to.priority = terms.priority;
  if (gives(Term::kSlo)) to.slo = terms.slo;
  if (gives(Term::kMemory)) quota_bytes = memory_bytes;
}

Result<void> check(const Terms& terms) {
  if (!is_part(terms.share_ppm))
    return fail(Code::kInvalidArgument, "share " + format_percent(terms.share_ppm) + ": " + part_range());
  if (!is_part(terms.cap_ppm))
    return fail(Code::kInvalidArgument, "cap " + format_percent(terms.cap_ppm) + ": " + part_range());
  if (terms.share_ppm > terms.most_ppm())
    return fail(Code::kInvalidArgument, "cap " + format_percent(terms.cap_ppm) + " is below share " +
                                            format_percent(terms.share_ppm) + "; raise the cap, or lower the share");
  if (static_cast<uint8_t>(terms.priority) >= std::size(kPriorities))
    return fail(Code::kInvalidArgument, "priority " + std::to_string(static_cast<unsigned>(terms.priority)) + " is none");
  if (terms.weight == 0 || terms.weight > Terms::kMostWeight)
    return fail(Code::kInvalidArgument,
                "weight " + std::to_string(terms.weight) + ": between 1 and " + std::to_string(Terms::kMostWeight));
  return check_slo(terms.slo, terms.priority);
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

std::string format_part(uint32_t ppm) { return ppm == 0 ? std::string(kNone) : format_percent(ppm); }

std::string format_slo(const Slo& slo) {
  return slo.bound_ns == 0 ? std::string(kNone) : percentile(slo.quantile_ppm) + "=" + format_time(slo.bound_ns);
}

Result<Priority> parse_priority(std::string_view text) {
  for (Priority priority : kPriorities)
    if (text == priority_name(priority)) return priority;
  return fail(Code::kInvalidArgument, "one of realtime, high, normal, low, idle");
}

Result<uint32_t> parse_part(std::string_view text) {
  if (text == kNone) return 0;
  auto ppm = parse_percent(text, kMinSharePpm);
  if (!ppm) return fail(Code::kInvalidArgument, ppm.error().message + ", or none");
  return ppm;
}

Result<Slo> parse_slo(std::string_view text) {
  Slo slo;
  if (text == kNone) return slo;
  auto wrong = [] {
    return fail(Code::kInvalidArgument,
                "a latency and of how many launches, p50 to p99.99, such as p99=5ms for 99 of 100, or none");
  };
  size_t equals = text.find('=');
  if (!text.starts_with('p') || equals == std::string_view::npos) return wrong();
  auto quantile = parse_percent(std::string(text.substr(1, equals - 1)) + "%");
  auto bound = parse_time(text.substr(equals + 1));
  if (!quantile || !bound) return wrong();
  slo.quantile_ppm = *quantile;
  slo.bound_ns = *bound;
  if (slo.bound_ns < kMinSloNs || slo.bound_ns > kMaxSloNs) return fail(Code::kInvalidArgument, slo_range());
  if (auto good = check_slo(slo, Priority::kNormal); !good) return std::unexpected(std::move(good.error()));
  return slo;
}

Result<uint64_t> parse_quota(std::string_view text) {
  if (text == kNone) return 0;
  auto bytes = parse_bytes(text);
  if (!bytes) return fail(Code::kInvalidArgument, bytes.error().message + ", or none");
  return bytes;
}

}  // namespace amalgam::model
