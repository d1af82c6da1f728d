// SPDX-License-Identifier: Apache-2.0
// NewRoot: an empty root with what a driver needs, in a mount name space of the process's own.
//
//   tmpfs, bounded, read-only ─┬─ /usr /etc/… driver's folders      bound, read-only, no devices, no set-uid
//                              ├─ /dev/null … /dev/dri              bound, one by one
//                              ├─ /proc                             of the process's own name space
//                              ├─ the cache folder                  bound, writable
//                              └─ /tmp /dev/shm                     writable, together bounded
//
// What is not there cannot be reached: homes, /run and its sockets, other users' files, also those that anybody may read.
//
// Threads: call it while there is one. Blocking: local file system calls.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "worker/confine/paths.h"

namespace amalgam::worker {

/// Needs CAP_SYS_ADMIN in the name space, and a name space of processes of its own where `own_processes` says so; else /proc
/// is the old one. Afterwards / is all that there is.
Result<void> make_new_root(const VisiblePaths& paths, bool own_processes);

}  // namespace amalgam::worker
