// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/random_token.h"

#include <sys/random.h>

#include "base/assert.h"

namespace amalgam::daemon {

protocol::Token random_token() {
  protocol::Token token{};
  // Up to 256 bytes come whole once the kernel's generator is seeded.
  AMALGAM_ASSERT(::getrandom(token.data(), sizeof token, 0) == sizeof token);
  return token;
}

}  // namespace amalgam::daemon
