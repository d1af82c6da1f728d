// SPDX-License-Identifier: Apache-2.0
// Starter: starts a per-user daemon where none runs, for `amalgam run` and for those who look at the pool.
//
// The daemon is detached (own session, no terminal, no inherited descriptors) and writes to a log file, which it keeps
// short. It leaves by itself after kIdleExitSeconds without work. Two starters at once are harmless: the daemon locks its
// socket, the second one ends.
//
// Threads: one at a time. Blocking: until the socket answers, at most kStartMs.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "north/cli/client.h"

namespace amalgam::cli {

inline constexpr int kIdleExitSeconds = 600;
inline constexpr int kStartMs = 10'000;

/// The daemon that answers. Where none runs and no socket was named, one is started; a socket that was named by hand belongs
/// to a daemon that somebody else looks after.
Result<Client> connect_or_start(const std::string& socket);

/// Starts `daemon` on `socket` and connects to it. An error carries the end of the log.
Result<Client> start_daemon(const std::filesystem::path& daemon, const std::string& socket,
                            const std::filesystem::path& log);

}  // namespace amalgam::cli
