// SPDX-License-Identifier: Apache-2.0
// The guardian's own process: what runs after the fork (guardian.h).
//
// Threads: one. It allocates nothing: the process was forked from one that may have threads. Does not return.
#pragma once

namespace amalgam::daemon {

/// `daemon`: the socket to the daemon that started it. `listener`: where the next one comes; -1: nowhere.
[[noreturn]] void guard(int daemon, int listener);

}  // namespace amalgam::daemon
