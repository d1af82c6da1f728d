// SPDX-License-Identifier: Apache-2.0
// PieceRunner: how launches that are cut run; cut_launch.h draws it.
//
// Threads: the dispatcher's; what the driver calls back comes by mail. Blocking: never; where it is not the session's turn,
// start() says so, and the dispatcher waits. Lifetime: outlived by none of the callbacks that `callbacks` counts.
#pragma once

#include <optional>
#include <span>

#include "core/session/cutting/cut_planner.h"
#include "core/session/state/mailbox.h"
#include "core/session/state/pending_callbacks.h"
#include "core/session/state/user_events.h"
#include "core/session/turns/device_time.h"

namespace amalgam::core {

class PieceRunner {
 public:
  struct Parts {
    uint32_t devices = 0;  ///< of the session
    const CutPlanner& planner;
    Turnstile& turnstile;
    DeviceTime& time;
    model::Counters& counters;
    Mailbox& mailbox;
    UserEvents& users;
    PendingCallbacks& callbacks;
  };
  explicit PieceRunner(Parts parts) : parts_(parts) {}

  /// Gives the launch its place in its stream, after `waits`. The result ends with it.
  Result<south::EventPtr> issue(const CutPtr& cut, StreamObject& stream, south::Waits waits);
  /// Gives the devices what they may have now. A device whose turn it is not, though there is something for it.
  std::optional<uint32_t> start();
  void clear() { feeder_.clear(); }

 private:
  Result<south::Stream*> lane_of(const StreamObject& stream);
  void reached(const CutPtr& cut, const south::Outcome& outcome);
  void start_piece(const CutPtr& cut);
  void piece_ended(const CutPtr& cut, const south::Outcome& outcome);
  void abandon(const CutPtr& cut, int32_t status);
  bool release(const CutPtr& cut);

  const Parts parts_;
  Feeder feeder_;
};

}  // namespace amalgam::core
