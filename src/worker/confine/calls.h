// SPDX-License-Identifier: Apache-2.0
// The system calls that a worker may make: a list, for every other one is refused.
// docs/decisions/0006-what-a-worker-may-do.md goes through it line by line.
//
// A call that is known and not listed fails with EPERM, one that is not known here with ENOSYS, as on an older kernel;
// either way drivers go on without it. Calls that could reach another process, make one that is not a child, or start a
// stopped worker are looked at by their arguments.
//
// Threads: binds every thread of the process.
#pragma once

#include "base/error.h"
#include "model/confinement.h"

namespace amalgam::worker {

/// From here on. What the report says of the other walls decides how much may be let through this one.
Result<void> fence_calls(model::Confinement& report);

}  // namespace amalgam::worker
