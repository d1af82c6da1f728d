// SPDX-License-Identifier: Apache-2.0
// DeviceTable: the machine's devices under their names ("opencl:0"), which stay the same as long as the daemon runs.
//
// The first probe numbers what it finds: healthy devices first, CPUs and GPUs before others, then by library and index.
// Later probes keep the names, mark what has vanished as lost, and append what is new.
//
// Threads: not thread-safe. Nothing blocks.
#pragma once

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

  const std::vector<model::Device>& all() const { return devices_; }
  const model::Device* find(const std::string& id) const;
  std::vector<std::string> healthy() const;
  /// Ids that selectors mean: an id, or a backend's name for all its healthy devices; none: every healthy device. In the
  /// table's order, each once. kNotFound lists what there is; kUnavailable: named, but sick.
  Result<std::vector<std::string>> select(const std::vector<std::string>& selectors) const;
  /// Memory pools of these devices, each once.
  std::vector<std::string> pools_of(const std::vector<std::string>& ids) const;

 private:
  std::vector<model::Device> devices_;
};

}  // namespace amalgam::daemon
