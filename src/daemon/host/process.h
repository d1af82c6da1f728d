// SPDX-License-Identifier: Apache-2.0
// Process: a child that the daemon starts (probe or worker) or finds again, named so that a reused pid is never taken for
// it.
//
// Every child leads its own session and process group, so that the helpers which a driver starts (compilers, linkers) end
// with it. A group is only killed while its leader cannot have been replaced: it is not reaped yet, or its start time fits.
//
// Threads: plain values; spawn() may be called while other threads run. Blocking: spawn() until the child has called exec.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace amalgam::daemon {

struct Process {
  pid_t pid = 0;
  uint64_t start_time = 0;  ///< in clock ticks since boot, as /proc has it; with the pid it names a process for ever
  UniqueFd pidfd;           ///< readable when the process has ended
  uint64_t image = 0;       ///< of found ones: image_of()
};

struct Launch {
  std::string program;
  std::vector<std::string> arguments;    ///< without argv[0]
  std::vector<std::string> environment;  ///< "NAME=value", all of it
  int channel = -1;                      ///< becomes descriptor 3; 0 is /dev/null, the rest is closed
  int errors = -1;                       ///< becomes descriptor 2 and 1; -1: ours
  uint64_t open_files = 0;               ///< soft limit; 0: ours
  uint32_t spaces = 0;                   ///< model::Space: name spaces of its own
};

/// Starts a program. The error is that of the system call that failed. In a name space of users the program is its root,
/// which is us outside.
Result<Process> spawn(const Launch& launch);

/// Finds a process again. kNotFound if it is gone or another one has its pid (start_time 0: whoever has it now).
Result<Process> find_process(pid_t pid, uint64_t start_time);
/// The process that a pidfd is of; 0 if it is gone.
pid_t pid_of(int pidfd);
/// 0 if there is no such process, or it is a zombie.
uint64_t start_time_of(pid_t pid);
/// Another number once the process has executed another program, where the kernel places programs at random and lets us
/// look; 0 if it has none any more.
uint64_t image_of(pid_t pid);

/// Sends a signal to the process alone, or to its whole group. Nothing happens if it is somebody else's by now. Both are
/// one or two system calls, and never wait.
void signal_process(const Process& process, int number);
void signal_group(const Process& process, int number);
/// The same of the group of pid, which pidfd names. False: it is gone.
bool signal_group(int pidfd, pid_t pid, int number);
/// Nanoseconds that a process's threads have run, those included that have ended; helpers that it has started are not. As
/// the kernel counts, to the moment. Empty: it is gone.
std::optional<uint64_t> process_time_ns(pid_t pid);
/// The clock that counts them, for timers.
clockid_t process_clock(pid_t pid);
/// A process's threads: their numbers in its own name space, and ours. At most 256 of them.
std::map<pid_t, pid_t> threads_of(pid_t pid);
/// After its pidfd became readable: kills what is left of the group, reaps the child. Says how it ended: "exit status 1",
/// "signal 11 (Segmentation fault)"; empty if it was not our child.
/// `number`: the signal.
std::string reap(const Process& process, int* number = nullptr);

/// The process at the other end of a Unix socket.
Result<Process> peer_process(int socket, pid_t pid);
/// All groups that it was in when it connected, as the kernel says; `gid` is the first of them.
std::vector<gid_t> peer_groups(int socket, gid_t gid);

}  // namespace amalgam::daemon
