// SPDX-License-Identifier: Apache-2.0
// What the kernel counts of memory: of a file without a name, of a process, of a group of processes.
//
// Threads: any. Blocking: the kernel's files only. A look at a process takes about 30 µs, one at all processes' groups
// about 1 µs a process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace amalgam::daemon {

/// Bytes of pages that are there behind the descriptor; 0 if it is none.
uint64_t present_bytes(int fd);

/// Bytes of a process that are its own alone, in memory and swapped out. Those that it shares with a child until one of them
/// writes count in both; `divided`: in each by its part, as exactly as the kernel knows, which takes as long as the process
/// is large. Empty: it is gone.
std::optional<uint64_t> private_bytes(pid_t pid);
std::optional<uint64_t> divided_private_bytes(pid_t pid);

/// The processes of each of these groups (of the kernel's job control), the leader included.
std::map<pid_t, std::vector<pid_t>> members_of(const std::vector<pid_t>& groups);

}  // namespace amalgam::daemon
