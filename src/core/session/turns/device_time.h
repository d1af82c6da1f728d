// SPDX-License-Identifier: Apache-2.0
// DeviceTime: how long a session's commands ran on its devices, as the driver's own profiling says, without what they spent
// frozen.
//
// Threads: any.
#pragma once

#include "core/session/turns/turnstile.h"
#include "south/device/device.h"

namespace amalgam::core {

class DeviceTime {
 public:
  DeviceTime(Turnstile& turnstile, model::Counters& counters) : turnstile_(turnstile), counters_(counters) {}

  /// Counts a command that has ended. Returns what it took in nanoseconds; 0 where the driver says nothing.
  uint64_t count(uint32_t device, const south::Outcome& outcome) {
    const auto& times = outcome.times;
    if (times.started == 0 || times.ended <= times.started || device >= model::kMaxSessionDevices) return 0;
    uint64_t ran_ns = turnstile_.without_frozen(device, times.ended - times.started);
    counters_.device_time_ns[device].fetch_add(ran_ns, std::memory_order_relaxed);
    return ran_ns;
  }

 private:
  Turnstile& turnstile_;
  model::Counters& counters_;
};

}  // namespace amalgam::core
