// SPDX-License-Identifier: Apache-2.0
// Shares: whether a slice's terms (model/terms.h) can be kept beside the others' on a device, and what each counts as there.
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
#include "model/terms.h"

namespace amalgam::core {

using SliceId = uint64_t;  ///< 0 names nobody

inline constexpr uint32_t kLeastRestPpm = 5'000;  ///< what slices without a share weigh together at least
inline constexpr uint32_t kLeastWeightPpm = 100;  ///< what one slice weighs at least

using model::Priority;
using model::Slo;
using model::Terms;
/// Classes of urgency, the most urgent first.
inline constexpr size_t kPriorities = std::size(model::kPriorities);

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

/// What others were not promised of the device, as far as `slice` is concerned.
uint32_t free_ppm(std::span<const Holding> others, SliceId slice);
/// Whether `asked` may have its terms beside `others` (an entry of the same slice is replaced). kInvalidArgument: nobody may
/// have them. kLimit: guaranteed shares would pass 100 %; says what is free and who holds the rest. `device` is what
/// messages call it.
Result<void> admit(std::span<const Holding> others, const Holding& asked, std::string_view device = "the device");

/// Divides the rest; one entry for each holding, in their order.
std::vector<Standing> divide(std::span<const Holding> holdings);

}  // namespace amalgam::core
