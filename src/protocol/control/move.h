// SPDX-License-Identifier: Apache-2.0
// How a session moves from one worker to another, perhaps on another device, while its program runs.
//
//   daemon: Adopt{rebuild} ─▶ new worker: makes what the journal has so far ─▶ SessionReady
//           HandOver ─▶ old worker: takes no further command, lets end what can, writes the rest down ─▶ HandedOver
//           TakeOver ─▶ new worker: makes what has come since, takes over what is under way ─▶ TookOver
//           Serve ─▶ new worker: reads the rings from now on; the old one is killed
//           or Stay ─▶ old worker: goes on as if nothing had been, whatever has failed; the new one is killed
//
// A reliable session whose worker has died is given to another one in the same way, without HandOver: Adopt{recover}.
//
// Threads: plain values.
#pragma once

#include "protocol/control/control.h"

namespace amalgam::protocol {

/// The command line's request. Owner or root only. Answer: SessionMoved, when the session is there, or Refused: it is where
/// it was.
struct MoveSession {
  static constexpr ControlType kType = ControlType::kMoveSession;
  uint32_t version = kControlVersion;
  uint64_t session = 0;
  std::string to;        ///< a device's id
  bool dry_run = false;  ///< all but the move itself
  template <typename A>
  void fields(A& a) {
    a(version, session, to, dry_run);
  }
};
struct SessionMoved {
  static constexpr ControlType kType = ControlType::kSessionMoved;
  std::string from, to;
  uint64_t prepare_us = 0;    ///< while the program ran
  uint64_t pause_us = 0;      ///< from the last command that the old worker took to the first that the new one may take
  uint64_t objects = 0;       ///< made again
  uint64_t copied_bytes = 0;  ///< of regions
  uint64_t pending = 0;       ///< commands that were taken over unfinished
  int32_t worker_pid = 0;
  template <typename A>
  void fields(A& a) {
    a(from, to, prepare_us, pause_us, objects, copied_bytes, pending, worker_pid);
  }
};

struct HandOver {
  static constexpr ControlType kType = ControlType::kHandOver;
  uint64_t patience_ms = 0;
  template <typename A>
  void fields(A& a) {
    a(patience_ms);
  }
};
struct HandedOver {
  static constexpr ControlType kType = ControlType::kHandedOver;
  Code code = Code::kOk;  ///< otherwise it goes on by itself
  std::string message;
  uint64_t copied_bytes = 0, pending = 0;
  template <typename A>
  void fields(A& a) {
    a(code, message, copied_bytes, pending);
  }
};
struct TakeOver {
  static constexpr ControlType kType = ControlType::kTakeOver;
  uint64_t granted_bytes = 0;  ///< what the ledger has granted the session by now
  template <typename A>
  void fields(A& a) {
    a(granted_bytes);
  }
};
struct TookOver {
  static constexpr ControlType kType = ControlType::kTookOver;
  Code code = Code::kOk;
  std::string message;
  uint64_t objects = 0;
  uint64_t used_bytes = 0;  ///< by its objects: what of it was not granted is to be found first
  template <typename A>
  void fields(A& a) {
    a(code, message, objects, used_bytes);
  }
};
struct Serve : Bare<ControlType::kServe> {};
struct Stay : Bare<ControlType::kStay> {};

}  // namespace amalgam::protocol
