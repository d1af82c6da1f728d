// SPDX-License-Identifier: Apache-2.0
// DeviceKeeper: which devices are given out: what probes found, what operators want, what faults say.
//
//   probes ──────────── found, sick, lost ─┐
//   operators ──────── drained, undrained ─┼─▶ DeviceTable, the state file, an event
//   faults ─▶ Suspicion ──────── cordoned ─┘
//
// What is withheld is in the state file before it is so, and stays there until an operator lifts it. A device on which
// operators and faults agree is the operator's: drained. What is a fault of which device, `health.cordon` says. When a
// device is cordoned, and why not sooner: suspicion.h, and docs/decisions/0022-when-a-device-is-sick.md.
//
// Threads: the loop's. Nothing blocks but the state file.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/devices/suspicion.h"
#include "daemon/state/common.h"

namespace amalgam::daemon {

class DeviceKeeper {
 public:
  /// Whether sessions are on a device.
  using IsUsed = std::function<bool(const std::string& device)>;
  DeviceKeeper(Common& common, IsUsed is_used) : common_(common), is_used_(std::move(is_used)) {}
  DeviceKeeper(const DeviceKeeper&) = delete;
  DeviceKeeper& operator=(const DeviceKeeper&) = delete;

  /// What an earlier daemon withheld.
  Result<void> restore();
  /// A probe has ended: the table has what it found, `before` is what the table had.
  void found(const std::vector<model::Device>& before);

  /// Nothing new opens there. Nothing happens to one that is drained already. kNotFound; kUnavailable: not recorded.
  Result<void> drain(const std::string& device, uid_t by);
  /// Lifts drain and cordon, and forgets all faults. kNotFound; kInvalidArgument: there is nothing to lift.
  Result<void> undrain(const std::string& device, uid_t by);
  /// Sessions have left, or ended.
  void look_for_empty();

  /// Whose session had the fault, and on which devices.
  struct Session {
    uint64_t id = 0, slice = 0;
    uid_t uid = 0;
    const std::vector<std::string>& devices;
  };
  enum class Fault : uint8_t {
    kCrash,  ///< its worker
    kOpen,   ///< no tenant had a say yet
    kHung,
  };
  void fault(const Session& session, Fault fault, const std::string& what);
  /// They have worked; `weight`: Suspicion::kOpened, kEndedWell.
  void well(const Session& session, double weight);
  uint64_t faults(const std::string& device) const;

 private:
  bool speaks(const std::string& device, Fault fault) const;
  Result<void> withhold(const model::Device& device, model::Health as, const std::string& why);
  void judge(const std::string& device);
  void say(protocol::EventKind kind, const std::string& device, std::string text);

  Common& common_;
  IsUsed is_used_;
  Suspicion suspicion_;
  std::set<std::string> emptying_;          ///< drained, and somebody is there
  std::map<std::string, uint64_t> faults_;  ///< by device, since the daemon started
};

}  // namespace amalgam::daemon
