// SPDX-License-Identifier: Apache-2.0
// Admission: whether terms can be promised. What slices were promised of one device never sums over the whole.
//
// A share holds on every device of its slice, so it must fit on each of them. Caps promise nothing and are not counted.
//
// One user may not be promised everything, nor all users together; what is left is for slices of the privileged. A share
// that does not grow is never refused for that.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "model/terms.h"

namespace amalgam::daemon {

/// A slice as far as its promise goes.
struct Promise {
  uint64_t slice = 0;
  std::string name;
  model::Terms terms;
  std::vector<std::string> devices;
  uint32_t owner = 0;
  bool bounded = false;  ///< its owner is not privileged
};

/// Parts of each device.
struct Ceilings {
  uint32_t user_ppm = kUserSharePpm;    ///< of one user
  uint32_t users_ppm = kUsersSharePpm;  ///< of all together
};
/// Whether a bounded wish stays below the ceilings beside `others`. kLimit says which one it would pass, what its owner
/// holds, and what to do.
Result<void> check_ceilings(const Promise& wish, const std::vector<Promise>& others, const Ceilings& ceilings = {});

/// Whether `wish` can be kept beside `others`; an entry of `others` with the same slice is what it replaces.
/// kInvalidArgument: nobody may have such terms. kLimit names the device that has least, what is free of it, and who holds
/// the rest.
Result<void> admit(const Promise& wish, const std::vector<Promise>& others);

}  // namespace amalgam::daemon
