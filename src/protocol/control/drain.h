// SPDX-License-Identifier: Apache-2.0
// How an operator takes a device out of use, and gives it back.
//
//   command line: DrainDevice ─▶ DrainReport (checking)
//                 WatchDrain{seen} ─▶ DrainReport, when there is more to say … until its step is none of checking and moving
//                 UndrainDevice ─▶ Done
//
// Whoever asked may go: the daemon goes on. All three are for root and the daemon's own user.
//
// Threads: plain values.
#pragma once

#include "protocol/control/control.h"

namespace amalgam::protocol {

struct DrainDevice {
  static constexpr ControlType kType = ControlType::kDrainDevice;
  uint32_t version = kControlVersion;
  std::string device;
  std::string to;  ///< where its sessions go; empty: for each any healthy device that can take it, with the most free memory
  bool stay = false;  ///< they stay; only nothing new opens there
  template <typename A>
  void fields(A& a) {
    a(version, device, to, stay);
  }
};
/// Lifts a drain and a cordon, and ends a drain that is under way after the move that is.
struct UndrainDevice {
  static constexpr ControlType kType = ControlType::kUndrainDevice;
  uint32_t version = kControlVersion;
  std::string device;
  template <typename A>
  void fields(A& a) {
    a(version, device);
  }
};
/// Of the last drain of this device.
struct WatchDrain {
  static constexpr ControlType kType = ControlType::kWatchDrain;
  uint32_t version = kControlVersion;
  std::string device;
  uint64_t seen = 0;  ///< of the last report; only what has changed since is in the answer
  template <typename A>
  void fields(A& a) {
    a(version, device, seen);
  }
};

enum class DrainStep : uint8_t {
  kChecking = 0,  ///< whether every session can move; nothing has changed so far
  kMoving = 1,    ///< nothing new opens there
  kDone = 2,      ///< every session has been seen to; those that stay have a reason
  kRefused = 3,   ///< some session cannot move: nothing has changed
  kStopped = 4,   ///< by an undrain
};
enum class DrainFate : uint8_t {
  kWaiting = 0,
  kFits = 1,    ///< it can move
  kCannot = 2,  ///< it cannot, for the reason that is said
  kMoved = 3,
  kStays = 4,  ///< its move has failed, for the reason that is said, or it was to stay
  kEnded = 5,  ///< by itself
};

struct DrainEntry {
  uint64_t session = 0;
  uint32_t uid = 0;
  std::string program;
  model::Priority priority = model::Priority::kNormal;
  DrainFate fate = DrainFate::kWaiting;
  std::string to, reason;
  uint64_t pause_us = 0;
  template <typename A>
  void fields(A& a) {
    a(session, uid, program, priority, fate, to, reason, pause_us);
  }
};
struct DrainReport {
  static constexpr ControlType kType = ControlType::kDrainReport;
  std::string device;
  DrainStep step = DrainStep::kChecking;
  uint64_t seen = 0;  ///< for the next WatchDrain
  bool more = false;  ///< there is more to say now
  std::vector<DrainEntry> entries;
  template <typename A>
  void fields(A& a) {
    a(device, step, seen, more, entries);
  }
};

}  // namespace amalgam::protocol
