// SPDX-License-Identifier: Apache-2.0
// Guardian: sees to it that no worker stays frozen when the daemon dies.
//
//   amalgamd ──[pidfd of every worker that may be frozen]──▶ guardian      the socket ends: SIGCONT to all, and it leaves
//
// Theory. The arbiter freezes workers with SIGSTOP, and a stopped process can do nothing for itself; a parent-death signal
// would reach only the workers of the first daemon, not those that a later one has taken over. So one tiny process holds
// descriptors of all of them and does nothing until its socket hangs up, however the daemon ended. A thaw that nobody needs
// does no harm. Should the guardian itself be killed, alive() is false, and who freezes must stop doing so.
//
// Threads: start() before there is any other thread (it forks and does not exec); the rest from any one thread at a time.
// Blocking: never.
#pragma once

#include "base/error.h"
#include "protocol/control/channel.h"

namespace amalgam::daemon {

class Guardian {
 public:
  /// Starts the process. It leaves this process's group, so that a terminal's Ctrl-C passes it by.
  static Result<Guardian> start();
  Guardian(Guardian&&) = default;
  Guardian& operator=(Guardian&&) = default;

  /// Has it look after one more process, until that process ends. False: it is not there any more.
  bool watch(int pidfd);
  bool alive() const;

 private:
  Guardian() = default;
  protocol::Channel channel_;
};

}  // namespace amalgam::daemon
