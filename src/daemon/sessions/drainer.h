// SPDX-License-Identifier: Apache-2.0
// Drainer: takes a device out of use: moves its sessions away, the most urgent first, one after the other.
//
//   checking ── each session can go somewhere (a dry run of its move) ─▶ the device is drained ─▶ moving ─▶ done
//      └─ some session cannot ─▶ refused: nothing has changed                                       └─ undrain ─▶ stopped
//
// A session goes where the operator says, or to whichever healthy device can take it, those with the most free memory first.
// What opens between its check and the drain, or is under way then, is moved unchecked; a session that does not go after all
// stays and has a reason. Other places are tried for move-ms, so that no session keeps a drain for longer than that and one
// attempt. Meanwhile its user cannot move it, else he could keep it busy for ever. One drain at a time; one that is to let
// its sessions stay takes the place of one that moves them. Should the daemon end, the device is still drained under the
// next one, and what was not moved is where it was: to be drained once more.
//
// Threads: the loop's. Nothing blocks; between two sessions the loop has a turn. Lifetime: goes before the Mover.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/sessions/mover.h"
#include "daemon/slices/device_keeper.h"
#include "protocol/control/drain.h"

namespace amalgam::daemon {

class Drainer {
 public:
  Drainer(Common& common, const SliceRegistry& slices, SessionRegistry& sessions, Mover& mover, DeviceKeeper& keeper);
  ~Drainer();
  Drainer(const Drainer&) = delete;
  Drainer& operator=(const Drainer&) = delete;

  /// `by` may do that. kNotFound, kUnavailable: a device; kInvalidArgument: to itself; kLimit: another drain is under way.
  Result<void> start(uid_t by, const protocol::DrainDevice& request);
  /// No further session is moved. False: this device was not being drained.
  bool stop(const std::string& device);
  /// What has changed since a report was `seen`; empty: nothing so far, and more is to come. kNotFound: no such drain.
  Result<std::optional<protocol::DrainReport>> report(const std::string& device, uint64_t seen) const;
  /// Called after whatever report() shows has changed.
  std::function<void()> on_changed;

 private:
  struct Entry {
    protocol::DrainEntry shown;
    uint64_t changed = 0;               ///< the revision in which it has
    std::vector<std::string> places{};  ///< still to be tried, the best last
    std::string refusal{};              ///< of the first one
    bool tried = false;
    uint64_t since_ms = 0;  ///< when the first place was tried
  };
  bool is_active() const;
  void add_sessions();
  void go_on(uint64_t ms = 0);
  void step();
  void check(size_t index);
  void move(size_t index);
  void ask(size_t index, bool dry_run);
  void asked(uint64_t drain, size_t index, bool dry_run, Result<protocol::SessionMoved> answer);
  void conclude();
  void set_step(protocol::DrainStep step);
  void set_fate(Entry& entry, protocol::DrainFate fate, std::string reason = {});
  bool must_wait(uint64_t session) const;
  std::vector<std::string> places_for(const Entry& entry) const;

  Common& common_;
  const SliceRegistry& slices_;
  SessionRegistry& sessions_;
  Mover& mover_;
  DeviceKeeper& keeper_;
  uint64_t number_ = 0;  ///< of the drain: an answer to an earlier one is none of this one's
  uid_t by_ = 0;
  std::string device_, to_;
  protocol::DrainStep step_ = protocol::DrainStep::kDone;
  uint64_t revision_ = 0;
  std::vector<Entry> entries_;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace amalgam::daemon
