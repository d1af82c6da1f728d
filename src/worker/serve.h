// SPDX-License-Identifier: Apache-2.0
// Serving: the life of a worker that holds one session.
//
//   WorkerHello ─▶ Adopt ─▶ map memories ─▶ Landlock ─▶ open devices ─▶ seccomp ─▶ SessionReady ─▶ serve ─▶ exit
//
// Landlock comes before the driver, because it binds only threads that are started later, and kernels run on the driver's
// threads. seccomp binds all threads at once, and comes after, because drivers may need more to open than to run.
//
// Threads: main becomes the dispatcher. Does not return before the session's end.
#pragma once

#include <string>

#include "protocol/control/channel.h"

namespace amalgam::worker {

/// Returns the process's exit status; the caller leaves by _exit, without destructors that a stuck driver could block.
int serve(protocol::Channel daemon, const protocol::Token& secret, const std::string& socket_path);

}  // namespace amalgam::worker
