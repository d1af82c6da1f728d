// SPDX-License-Identifier: Apache-2.0
// The metrics' names, and a snapshot turned into Prometheus' text.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "protocol/control/control.h"
#include "protocol/control/events.h"

namespace amalgam::daemon {

struct MetricsSnapshot {
  struct Pool {
    std::string name;
    uint64_t total = 0, held = 0;
  };
  struct Slice {
    uint64_t id = 0;
    std::string name;
    uint32_t uid = 0;
    std::string class_name;
    model::Terms terms;
  };
  /// Of a slice on one device, since it came.
  struct SliceTime {
    uint64_t slice = 0;
    std::string name, device;
    uint64_t ran_ns = 0, waited_ns = 0, throttled_ns = 0;
  };
  struct SessionSeries {
    protocol::SessionEntry entry;
    uint64_t granted = 0;
  };
  protocol::StatusReport status;
  std::vector<protocol::DeviceEntry> devices;
  std::vector<uint64_t> device_faults;  ///< of each of them
  std::vector<std::pair<protocol::EventKind, uint64_t>> events;
  std::vector<Pool> pools;
  std::vector<Slice> slices;
  std::vector<SliceTime> slice_times;
  std::vector<SessionSeries> sessions;
  uint64_t opened_total = 0, ended_total = 0, refused_total = 0;
};

std::string metrics_text(const MetricsSnapshot& snapshot);

}  // namespace amalgam::daemon
