// SPDX-License-Identifier: Apache-2.0
// DeviceTable: the machine's devices under their names ("opencl:0"), which stay the same as long as the daemon runs.
//
// The first probe numbers what it finds: healthy devices first, CPUs and GPUs before others, then by library and index.
// Later probes keep the names, mark what has vanished as lost, and append what is new.
//
// A device that its driver shows as healthy may be withheld all the same: cordoned by the daemon, drained by an operator.
// Then nothing new opens there, and what runs goes on. That is remembered by where the device is, not by its name, so it
// holds for a device that comes back, and under the daemons that come after.
//
// Threads: not thread-safe. Nothing blocks.
#pragma once

#include <compare>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/device.h"

namespace amalgam::daemon {

class DeviceTable {
 public:
  /// Names that an earlier daemon gave, while somebody still uses them. Only before the first update().
  void remember(std::vector<model::Device> named) { devices_ = std::move(named); }
  void update(std::vector<model::Device> found);

  /// Where a device is: its backend, library, and numbers within.
  struct Location {
    std::string backend, library;
    uint32_t driver_index = 0, device_index = 0;
    auto operator<=>(const Location&) const = default;
  };
  static Location location_of(const model::Device& device);
  /// Nothing new opens there; `as`: kCordoned or kDrained, `why`: what its listing says.
  void withhold(const Location& location, model::Health as, const std::string& why);
  /// As its driver shows it, from now on.
  void give_back(const Location& location);
  /// kCordoned or kDrained, also where its driver shows it as sick; kHealthy: it is not withheld.
  model::Health withheld(const model::Device& device) const;

  const std::vector<model::Device>& all() const { return devices_; }
  const model::Device* find(const std::string& id) const;
  std::vector<std::string> healthy() const;
  /// Ids that selectors mean: an id, or a backend's name for all its healthy devices; none: every healthy device. In the
  /// table's order, each once. kNotFound lists what there is; kUnavailable: named, but not
  /// healthy; says what to do.
  Result<std::vector<std::string>> select(const std::vector<std::string>& selectors) const;
  /// Memory pools of these devices, each once.
  std::vector<std::string> pools_of(const std::vector<std::string>& ids) const;

 private:
  struct Withheld {
    model::Health as = model::Health::kDrained;
    std::string why;
  };
  void show(model::Device& device) const;

  std::vector<model::Device> devices_;
  std::map<Location, Withheld> withheld_;
};

/// Why nothing can be opened on a device that is not healthy, and what to do.
std::string why_not_used(const model::Device& device);

}  // namespace amalgam::daemon
