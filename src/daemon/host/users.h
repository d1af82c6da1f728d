// SPDX-License-Identifier: Apache-2.0
// Users: whether one more of something fits, for everybody together and for one user.
//
//   0 ─────────── what users have together ───────────┤ reserved for the privileged ├ most
//     ── one user ──┤ per_user
//
// Privileged are root and the daemon's own user. They are bound by what there is and by nothing else, and a part of it is
// kept for them, so that no tenant and no group of tenants can keep whoever looks after the machine from using it.
//
// Threads: pure functions.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/error.h"

namespace amalgam::daemon {

bool is_privileged(uid_t uid);

/// A bound of base/limits.h that each user has a part of.
struct Bound {
  const char* name;  ///< "slices"; what one user may have is called "slices-per-user"
  uint64_t most = 0, per_user = 0, reserved = 0;
  const char* advice;  ///< what whoever is refused can do
};

/// How many there are now.
struct Census {
  uint64_t all = 0;
  uint64_t of_users = 0;  ///< of those who are not privileged
  uint64_t own = 0;       ///< of the one who asks

  void count(uid_t owner, uid_t asker, bool privileged) {
    ++all;
    of_users += privileged ? 0 : 1;
    own += owner == asker ? 1 : 0;
  }
  void count(uid_t owner, uid_t asker) { count(owner, asker, is_privileged(owner)); }
};

/// Whether there is room for one more. kLimit says which bound, how many the asker has, and what to do.
Result<void> check_room(const Bound& bound, const Census& now, bool privileged);

}  // namespace amalgam::daemon
