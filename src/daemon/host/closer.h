// SPDX-License-Identifier: Apache-2.0
// Closer: closes what others gave us, where that may take as long as they like.
//
//   loop ─ close() ─▶ no descriptors are queued in the socket: closed at once
//                     else ─▶ queue, kMaxClosing ─▶ a thread that closes
//
// Theory. A message in a Unix socket may carry descriptors, and when the socket is closed with the message in it, the last
// reference to them goes, and whoever closes waits for whatever their release takes: a TCP socket with SO_LINGER and unsent
// data, as long as its maker chose. So nothing of that kind is ever received by the loop (Passengers::kLeave), and where the
// kernel can, it is forbidden to the sender (forbid_descriptors()).
//
// A socket is first shut down, so that nothing more comes into it; then messages without descriptors are thrown away, and an
// empty one is closed where it is. One with descriptors goes to a thread. Nor does that one wait, where the kernel lets it:
// a short-lived thread takes a copy of the table of descriptors, the others' entry is closed while the copy is there, and
// the copy goes with the thread; and a thread that ends lingers for nobody (the kernel's rule for PF_EXITING). Where a
// thread may not have a table of its own, the closing thread waits as long as it takes, alone.
//
// Threads: everything from the loop's; one of its own while there is something to close. Blocking: never, the end excepted,
// which waits a moment for what is left.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "base/unique_fd.h"

namespace amalgam::daemon {

/// From now on nobody can send descriptors to this socket, nor to those that it accepts. False: the kernel is older than
/// Linux 6.16.
bool forbid_descriptors(int socket);

class Closer {
 public:
  Closer();
  ~Closer();
  Closer(const Closer&) = delete;
  Closer& operator=(const Closer&) = delete;

  /// Closes a Unix socket that `uid` could send to.
  void close(uid_t uid, UniqueFd socket);

  /// What waits to be closed, of one user or of all.
  uint64_t waiting(uid_t uid) const;
  uint64_t waiting() const;

 private:
  void discard(uid_t uid, UniqueFd fd);

  struct Queue;
  std::shared_ptr<Queue> queue_;  ///< the thread's too: it may be stuck when we end
};

}  // namespace amalgam::daemon
