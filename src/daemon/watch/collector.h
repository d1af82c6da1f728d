// SPDX-License-Identifier: Apache-2.0
// Collector: the one place that turns counters, ledger and registries into what people see. `ps`, `top`, `devices`, `status`
// and the metrics all read from here, so that they cannot disagree.
//
// Threads: the loop's. Nothing blocks. A worker writes its counters while we read: each number is right on its own.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/sessions/memory_audit.h"
#include "daemon/sessions/reservations.h"
#include "daemon/slices/device_keeper.h"
#include "daemon/turns/arbitration.h"
#include "daemon/watch/metrics_text.h"
#include "protocol/control/events.h"

namespace amalgam::daemon {

class Collector {
 public:
  Collector(const Common& common, const SliceRegistry& slices, const SessionRegistry& sessions,
            const Reservations& reservations, const MemoryAudit& audit, const DeviceKeeper& keeper, Arbitration& arbitration,
            const model::Confinement& confinement)
      : common_(common), slices_(slices), sessions_(sessions), reservations_(reservations), audit_(audit), keeper_(keeper),
        arbitration_(arbitration), confinement_(confinement), started_ms_(monotonic_ms()) {}

  protocol::SessionEntry session(const SessionRecord& session) const;
  /// `slice` may be null: the whole pool.
  protocol::DeviceEntry device(const model::Device& device, const Slice* slice) const;
  /// As many entries as fit into one control message.
  protocol::SessionList session_page(uint64_t after) const;
  protocol::DeviceList device_page(const protocol::ListDevices& request, const Slice* slice) const;
  protocol::StatusReport status(const std::string& metrics_address) const;
  /// Prometheus exposition format. At most kMetricsAgeMs old: it is made once for all who ask meanwhile.
  std::shared_ptr<const std::string> metrics();
  /// The same as far as it fits into one control message: if all sessions' and slices' series are more, only totals are
  /// there.
  std::shared_ptr<const std::string> short_metrics();

  /// Events that this user may know of, as many as fit into one control message.
  protocol::EventList event_page(uint64_t after, uid_t asker) const;
  /// Whether a session has the device.
  bool is_used(const std::string& device) const { return sessions_on(device) != 0; }

  /// Keeps what a session has used, for the totals.
  void session_ended(const SessionRecord& session);

 private:
  uint64_t device_time_ns(const std::string& device) const;
  std::vector<MetricsSnapshot::SliceTime> slice_times();
  MetricsSnapshot snapshot();
  void refresh_metrics();
  uint32_t sessions_on(const std::string& device) const;

  const Common& common_;
  const SliceRegistry& slices_;
  const SessionRegistry& sessions_;
  const Reservations& reservations_;
  const MemoryAudit& audit_;
  const DeviceKeeper& keeper_;
  Arbitration& arbitration_;
  const model::Confinement& confinement_;  ///< of workers
  uint64_t started_ms_;
  std::map<std::string, uint64_t> ended_device_time_ns_;
  uint64_t ended_sessions_ = 0;
  std::shared_ptr<const std::string> metrics_, short_metrics_;
  uint64_t metrics_made_ms_ = 0;
  /// What was last shown, by slice and device: the arbiter gives back idleness that it took for work, a counter never falls.
  std::map<std::pair<uint64_t, std::string>, MetricsSnapshot::SliceTime> shown_times_;
};

}  // namespace amalgam::daemon
