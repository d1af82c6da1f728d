// SPDX-License-Identifier: Apache-2.0
// Guardian: keeps what must outlive the daemon: the daemon's ends of every session.
//
//   amalgamd ──[Keep: descriptors of a session]──▶ guardian ◀──[takes over]── the next amalgamd
//                                                     │ the daemon's socket ends: grants everything, SIGCONT to all
//
// Theory. Workers are tenants, so a daemon that comes back may believe nothing that a worker shows it: no memory, no secret,
// no number. What it needs (the counters and grants pages, the eventfds, its end of the worker's socket) is kept by a
// process of its own, which does nothing while the daemon lives. Workers notice nothing of a daemon's death: their socket
// stays open, what they say waits in it, and the guardian gives them every grant and continues those that were stopped, for
// a stopped process can do nothing for itself. The next daemon finds the guardian at a socket beside the state file and
// takes over what it keeps.
//
// Should the guardian die, the daemon starts another one and gives it everything again; while there is none, nothing may be
// stopped. If both are killed at once sessions go on, governed by nobody, and the next daemon continues the stopped ones.
//
// Threads: alive() any; the rest one at a time. Blocking: take_over() up to some seconds, keep() a tenth of one;
// alive() never.
#pragma once

#include <filesystem>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/pi_mutex.h"
#include "protocol/control/channel.h"
#include "protocol/control/keep.h"

namespace amalgam::daemon {

class Guardian {
 public:
  /// What the guardian of an earlier daemon kept of one session.
  struct Kept {
    uint64_t session = 0, heap_bytes = 0;
    protocol::ReceivedDescriptors<protocol::Keep> ends;
  };
  /// `socket`: where the next daemon finds it; only we may use it. The caller is the only daemon that does.
  explicit Guardian(std::filesystem::path socket) : socket_(std::move(socket)) {}

  /// Takes over from the guardian of an earlier daemon what it keeps, or starts one.
  Result<std::vector<Kept>> take_over();
  /// Starts another one in place of one that has died. The caller gives it everything again.
  Result<void> replace();

  /// False: it is not there any more.
  bool keep(const protocol::Keep& what, const protocol::DescriptorsToSend<protocol::Keep>& ends);
  void forget(uint64_t session);
  bool alive() const;
  /// Readable when it has died.
  int descriptor() const { return channel_.fd(); }

 private:
  Result<void> start();
  void set_channel(protocol::Channel channel);
  Result<std::vector<Kept>> receive_all();

  const std::filesystem::path socket_;
  std::mutex mutex_;  ///< guards which channel it is
  protocol::Channel channel_;
  mutable PiMutex probe_mutex_;  ///< never held for longer than a look
  UniqueFd probe_;               ///< the channel once more, for looks
};

}  // namespace amalgam::daemon
