// SPDX-License-Identifier: Apache-2.0
// Terms: what a slice was promised of one device's time, and the arithmetic that decides whether it can be promised.
//
//   --share 30%            guaranteed part of the device; more when others leave it idle
//   --cap 50%              never more than that, even alone
//   --priority high        an urgent slice runs before all lower ones
//   --slo p99=5ms          the share is to be found that keeps 99 % of the launches below 5 ms (slo.h)
//
// What is not guaranteed is *the rest*. Slices without a share divide it by their weights, and together they always weigh
// at least kLeastRestPpm, so that a device that is promised to the last point still serves them now and then; this costs the
// promised ones at most half a point together.
//
// Threads: plain values and pure functions.
#pragma once

#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "model/terms.h"

namespace amalgam::core {

using SliceId = uint64_t;  ///< 0 names nobody

inline constexpr uint32_t kWholePpm = model::kWholePpm;
inline constexpr uint32_t kLeastSharePpm = kMinSharePpm;  ///< below 1 % they cannot be kept in a window of a second
inline constexpr uint32_t kLeastRestPpm = 5'000;          ///< what slices without a share weigh together at least
inline constexpr uint32_t kLeastWeightPpm = 100;          ///< what one slice weighs at least
inline constexpr uint32_t kDefaultWeight = 100;           ///< of a slice without a share, against others without one
inline constexpr uint32_t kMostWeight = 10'000;           ///< largest weight that may be asked for
inline constexpr uint64_t kLeastSloNs = kMinSloNs;        ///< below this a launch's own overhead is the latency
inline constexpr uint64_t kMostSloNs = kMaxSloNs;         ///< above this a goal says nothing

/// Classes of urgency, the most urgent first.
using Priority = model::Priority;
inline constexpr size_t kPriorities = std::size(model::kPriorities);

/// "Of my launches, `quantile_ppm` finish within `bound_ns`." bound_ns 0: no such goal.
struct Slo {
  uint32_t quantile_ppm = 990'000;
  uint64_t bound_ns = 0;
  bool operator==(const Slo&) const = default;
};

struct Terms {
  uint32_t share_ppm = 0;            ///< guaranteed; 0: part of the rest
  uint32_t cap_ppm = kWholePpm;      ///< never more
  uint32_t weight = kDefaultWeight;  ///< against other slices without a share; unused with one
  Priority priority = Priority::kNormal;
  Slo slo;
  bool operator==(const Terms&) const = default;
};

/// Who holds what on a device; what admission and the division of the rest look at.
struct Holding {
  SliceId slice = 0;
  std::string name;
  Terms terms;
};

/// What a slice counts as, after the rest is divided.
struct Standing {
  uint32_t weight_ppm = 0;  ///< against the slices of its own class
  uint32_t rate_ppm = 0;    ///< of wall time; these sum to at most 100 % over all classes
};

/// What people wrote, in the scheduler's own terms.
Terms terms_of(const model::Terms& written);
/// "30%", "12.5 %" or "0.125" as parts per million. kInvalidArgument says what was expected.
Result<uint32_t> parse_part(std::string_view text);
/// "p99=5ms", "p99.9=800us", "p50=1s".
Result<Slo> parse_slo(std::string_view text);
/// 300000 as "30 %", 125000 as "12.5 %".
std::string part_text(uint32_t ppm);
/// 4200000 as "4.2 ms".
std::string milliseconds_text(uint64_t ns);

/// kInvalidArgument with the sentence that a user needs; says nothing of other slices.
Result<void> check_terms(const Terms& terms);

/// Whether `asked` may have its terms beside `others` (an entry of the same slice is replaced). kLimit: guaranteed shares
/// would pass 100 %; says what is free and who holds the rest.
Result<void> admit(std::span<const Holding> others, const Holding& asked);

/// Divides the rest; one entry for each holding, in their order.
std::vector<Standing> divide(std::span<const Holding> holdings);

}  // namespace amalgam::core
