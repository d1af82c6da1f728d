// SPDX-License-Identifier: Apache-2.0
// What the daemon and its guardian say to each other (daemon/host/guardian.h).
//
// Threads: plain values.
#pragma once

#include "protocol/control/control.h"

namespace amalgam::protocol {

/// The daemon's ends of a session, to be kept until Forget, or while there is no daemon until the worker's end, or the
/// client's. The guardian sends the same to a daemon that takes over, then Done.
struct Keep {
  static constexpr ControlType kType = ControlType::kKeep;
  template <typename Fd>
  struct Descriptors {
    Fd worker{};   ///< a pidfd
    Fd channel{};  ///< the daemon's end of the worker's socket
    Fd heap{};
    Fd counters{};
    Fd grants{};  ///< open for writing
    Fd bell{}, knock{};
    Fd client{};  ///< the worker's end of the client's socket
    Fd ring{}, journal{};
    template <typename A>
    void fields(A& a) {
      a(worker, channel, heap, counters, grants, bell, knock, client, ring, journal);
    }
  };
  uint64_t session = 0;
  uint64_t heap_bytes = 0;       ///< as SessionOpened has it
  uint64_t outlives_worker = 0;  ///< 1: its client's end counts
  template <typename A>
  void fields(A& a) {
    a(session, heap_bytes, outlives_worker);
  }
};

/// The session has ended.
struct Forget {
  static constexpr ControlType kType = ControlType::kForget;
  uint64_t session = 0;
  template <typename A>
  void fields(A& a) {
    a(session);
  }
};

}  // namespace amalgam::protocol
