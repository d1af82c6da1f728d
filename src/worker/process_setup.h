// SPDX-License-Identifier: Apache-2.0
// What a worker does to its own process before it touches a driver: no stray descriptors, no core dumps, no new privileges,
// no terminal, standard input from nowhere.
//
// Threads: call from main, before there are any.
#pragma once

#include "base/error.h"
#include "base/unique_fd.h"

namespace amalgam::worker {

inline constexpr int kDaemonFd = 3;  ///< the daemon's channel, inherited

/// For every mode: closes what is above kDaemonFd, sets limits and name, leaves the daemon's process group.
void settle_process();

/// Standard output becomes a pipe. Returns the read end, which does not block.
Result<UniqueFd> capture_output();

}  // namespace amalgam::worker
