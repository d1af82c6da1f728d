// SPDX-License-Identifier: Apache-2.0
// The answer to everything that a device does not have: the code that lets the caller choose another way, and the reason.
#pragma once

#include <string>

#include "base/error.h"

namespace amalgam::south::null {

/// CL_INVALID_OPERATION: what a program sees if a front door passes the refusal on.
inline constexpr int32_t kInvalidOperation = -59;

inline std::unexpected<Error> unsupported(const char* what) {
  return fail(Code::kUnsupported, std::string(what) + ": the null device computes nothing", kInvalidOperation);
}

}  // namespace amalgam::south::null
