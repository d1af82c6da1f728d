// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/users.h"

#include <unistd.h>

#include <string>

namespace amalgam::daemon {

bool is_privileged(uid_t uid) { return uid == 0 || uid == ::geteuid(); }

Result<void> check_room(const Bound& bound, const Census& now, bool privileged) {
  auto refuse = [&](const std::string& why) { return fail(Code::kLimit, bound.name + why + "; " + bound.advice); };
  if (now.all >= bound.most)
    return refuse(": there are " + std::to_string(now.all) + ", as many as the daemon takes; you have " +
                  std::to_string(now.own));
  if (privileged) return {};
  if (now.own >= bound.per_user)
    return refuse("-per-user: you have " + std::to_string(now.own) + ", as many as one user may");
  if (now.of_users + bound.reserved >= bound.most)
    return refuse(": users have " + std::to_string(now.of_users) + " together and the rest is kept for root; you have " +
                  std::to_string(now.own));
  return {};
}

}  // namespace amalgam::daemon
