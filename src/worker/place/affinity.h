// SPDX-License-Identifier: Apache-2.0
// Which threads this process has, where they may run, and how they come to run there.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace amalgam::worker {

/// Of this process, ascending; empty where /proc is not to be read.
std::vector<pid_t> thread_ids();

/// What the kernel says of a thread of this process.
std::string thread_folder(pid_t thread);

/// The set of one processor, which must be less than CPU_SETSIZE.
cpu_set_t only(int processor);

/// Where the calling thread may run; empty on machines with more processors than such a set holds.
cpu_set_t own_processors();

/// Says where a thread may run; only if it is still one of this process.
bool place(pid_t thread, const cpu_set_t& set);

/// From now on threads start with this set, not with that of the thread that starts them; except those whose attributes the
/// starter brings itself. An empty set changes nothing. False: the system refuses.
bool start_threads_in(const cpu_set_t& set);

/// Whether a thread that wakes up may take the processor from whoever runs there, as threads do, or waits for it to sleep,
/// at most until the next tick. Only if it is still one of this process.
bool may_interrupt(pid_t thread, bool may);

/// For how long the threads of this process have run, in nanoseconds.
uint64_t process_time_ns();

/// True if the thread may run on one processor only.
bool is_bound(pid_t thread);

}  // namespace amalgam::worker
