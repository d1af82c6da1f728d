// SPDX-License-Identifier: Apache-2.0
// Voices: who may wake the real-time thread, and how often.
//
// Bells belong to workers and knocks to programs, which may ring as fast as they can write. Each voice has so many wake-ups
// a second; who rings more often is not listened to for a moment, and then looked at once, so that nothing is missed for
// longer than that. Edges, and nothing is read: what others write to could make a read block.
//
// Threads: the caller locks. Blocking: never. Lifetime: descriptors must stay until forget().
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/limits.h"
#include "daemon/host/allowance.h"

namespace amalgam::daemon {

/// Has an epoll wait for a descriptor to become readable: for edges, so nothing must be read.
Result<void> wait_for_edges(int epoll, int fd);

class Voices {
 public:
  struct Heard {
    uint64_t session = 0;
    bool knocks = false;
  };
  explicit Voices(int epoll = -1) : epoll_(epoll) {}

  Result<void> listen(int fd, uint64_t session, bool knocks);
  /// Of all of a session's.
  void forget(uint64_t session);
  /// Who it is that rang; nothing: none of them. Whoever has rung too often is not heard the next time.
  std::optional<Heard> hear(int fd, uint64_t now_ns);
  /// Does not listen to it for so long.
  void ignore(int fd, uint64_t until_ns);
  /// Listens again to those whose time has come; says when the next one's comes, or UINT64_MAX.
  uint64_t listen_again(uint64_t now_ns);

 private:
  struct Voice {
    Heard who;
    Allowance wakes{kWakesPerSecond, kWakeBurst};
    uint64_t deaf_until_ns = 0;  ///< 0: it is listened to
  };

  int epoll_;
  std::map<int, Voice> voices_;  ///< by descriptor
};

}  // namespace amalgam::daemon
