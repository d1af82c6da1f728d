// SPDX-License-Identifier: Apache-2.0
// Suspicion: whether faults on a device are the device's, or somebody's who uses it.
//
// Theory. A worker is its tenant: whoever wants to can have his own crash, as often as he likes. So a fault says something
// of a device only if several users who do not know of each other have it, and those for whom the device works say nothing
// against it. Only the daemon's own probe, in which no tenant has a hand, counts alone.
//
//   weight of a report of age t              2^(-t / fault-half-life-ms)
//   faults(u), well(u)                       sums of the weights of user u's reports, each times its part (below)
//   u speaks against the device              faults(u) >= faults-per-user  and  faults(u) > well(u)
//   u speaks for it                          well(u) >= 1/4  and  faults(u) < well(u)
//   it is to be cordoned                     those against >= fault-users  and  those against > those for
//                                            or the probe's faults >= faults-per-user
//
// A fault of a session on n devices is 1/n on each. A session that has ended well is 1 for each of its devices, one that has
// opened is 1/2: so a user all of whose sessions crash after they have opened still speaks against (n against n/2).
//
// Bounds: fault-witnesses users a device; beyond, who says least is forgotten. Nothing outlives the daemon.
//
// Rejected. A number of crashes alone, or of crashed sessions: a tenant has as many as he likes. A part of all sessions that
// crash: the same. Probing when workers crash: the tenant would choose the moment, and could have filled the memory first.
//
// Threads: not thread-safe; time comes in. Nothing blocks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

namespace amalgam::daemon {

class Suspicion {
 public:
  static constexpr double kOpened = 0.5, kEndedWell = 1;

  /// A fault of one of this user's sessions, `part` of it on this device. True: he speaks against it from now on, and did
  /// not before.
  bool fault(const std::string& device, uid_t user, double part, uint64_t now_ms);
  /// The device has worked for this user; `weight`: kOpened, kEndedWell.
  void well(const std::string& device, uid_t user, double weight, uint64_t now_ms);
  /// The daemon's own probe of it has failed, after it had not.
  void probe_failed(const std::string& device, uint64_t now_ms);

  struct Verdict {
    bool sick = false;
    uint32_t against = 0, in_favour = 0;  ///< users
    double probes = 0;                    ///< of the daemon's own that failed, with their weights
  };
  Verdict judge(const std::string& device, uint64_t now_ms) const;
  /// An operator says that it is well: whatever was said is forgotten.
  void forget(const std::string& device) { devices_.erase(device); }

 private:
  /// A sum of reports, as of one moment.
  struct Score {
    double sum = 0;
    uint64_t at_ms = 0;
    double at(uint64_t now_ms) const;
    void add(double weight, uint64_t now_ms);
  };
  struct Witness {
    Score faults, well;
    bool is_against(uint64_t now_ms) const;
    bool is_for(uint64_t now_ms) const;
  };
  struct Device {
    std::map<uid_t, Witness> witnesses;
    Score probes;
  };
  Witness& witness(Device& device, uid_t user, uint64_t now_ms);

  std::map<std::string, Device> devices_;
};

}  // namespace amalgam::daemon
