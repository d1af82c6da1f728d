// SPDX-License-Identifier: Apache-2.0
// Serving: the life of a worker that holds one session.
//
//   (confined) ─▶ WorkerHello ─▶ Adopt ─▶ map memories ─▶ open devices ─▶ fence_calls ─▶ SessionReady ─▶ serve ─▶ exit
//
// Threads: main becomes the dispatcher. Does not return before the session's end.
#pragma once

#include <string>

#include "protocol/control/channel.h"

namespace amalgam::worker {

/// The front end's library, from where this program lies; empty if it is not there, and then no launch is cut.
std::string find_splitter();
/// The folder of this program.
std::string own_folder();

/// Returns the process's exit status; the caller leaves by _exit, without destructors that a stuck driver could block.
/// `check`: only shows what it would be confined by.
int serve(protocol::Channel daemon, model::Confinement confinement, const std::string& splitter, bool check);

}  // namespace amalgam::worker
