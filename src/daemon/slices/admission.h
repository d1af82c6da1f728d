// SPDX-License-Identifier: Apache-2.0
// Admission: whether terms can be promised. What slices were promised of one device never sums over the whole.
//
// A share holds on every device of its slice, so it must fit on each of them. Caps promise nothing and are not counted.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/terms.h"

namespace amalgam::daemon {

/// A slice as far as its promise goes.
struct Promise {
  uint64_t slice = 0;
  std::string name;
  model::Terms terms;
  std::vector<std::string> devices;
};

/// Whether `wish` can be kept beside `others`; an entry of `others` with the same slice is what it replaces.
/// kInvalidArgument: nobody may have such terms. kLimit names the device that has least, what is free of it, and who holds
/// the rest.
Result<void> admit(const Promise& wish, const std::vector<Promise>& others);

}  // namespace amalgam::daemon
