// SPDX-License-Identifier: Apache-2.0
// What a worker does to its own process before anything else: no stray descriptors, no tracing, its own name, standard input
// from nowhere.
//
// Threads: call from main, before there are any.
#pragma once

#include "base/error.h"
#include "base/unique_fd.h"

namespace amalgam::worker {

inline constexpr int kDaemonFd = 3;  ///< the daemon's channel, inherited

/// For every mode: closes what is above kDaemonFd, sets name and signals.
void settle_process();

/// Standard output becomes a pipe. Returns the read end, which does not block.
Result<UniqueFd> capture_output();

}  // namespace amalgam::worker
