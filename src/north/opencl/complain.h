// SPDX-License-Identifier: Apache-2.0
// complain(): one line on standard error for a program that was to find the pool and does not; the interface has no place
// for the reason, and a program that sees no device seldom says why.
//
// Threads: any. Blocking: as standard error is.
#pragma once

#include <string_view>

namespace amalgam::opencl {

/// Only where the environment or a slice file says that somebody means the pool, and once a process.
void complain(std::string_view reason);

}  // namespace amalgam::opencl
