// SPDX-License-Identifier: Apache-2.0
// Landlock on what is visible: reads and executes, writes to the cache and to scratch folders, uses devices, nothing else;
// signals and abstract sockets stay inside; no TCP. Where there is no mount name space this is the only wall of files.
//
// Threads: binds the calling thread and those that it starts later: call it from main before the driver.
#pragma once

#include "base/error.h"
#include "model/confinement.h"
#include "worker/confine/paths.h"

namespace amalgam::worker {

/// A kernel without Landlock is no error: the report says so.
Result<void> fence_files(const VisiblePaths& paths, model::Confinement& report);

}  // namespace amalgam::worker
