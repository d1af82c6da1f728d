// SPDX-License-Identifier: Apache-2.0
// Grants: what the daemon's arbiter tells one session, in a page that the worker can only read: whether its commands may go
// to a device now, and in how large pieces. The other half, what the session wants, stands in Counters (device_*).
//
//   worker: count one in flight ─▶ look at `granted`     arbiter: take `granted` away ─▶ look at what is in flight
//
// Both are sequentially consistent, so a command that slips past a revocation is seen in flight, never missed.
//
// Threads: atomics; `granted` is a futex word that waiters sleep on. All zero is the state of a session that nobody governs
// yet: it has to ask.
#pragma once

#include <atomic>
#include <cstdint>

#include "model/counters.h"

namespace amalgam::model {

/// Why a session is ended by the daemon, as far as its program has to know.
enum class Ending : uint32_t { kNone = 0, kOverMemory, kWorkerGone };

struct Grants {
  struct Device {
    std::atomic<uint32_t> granted;    ///< 1: commands may go to the driver
    std::atomic<uint32_t> piece_us;   ///< > 0: launches that would take longer are cut into pieces of about so long
    std::atomic<uint64_t> frozen_ns;  ///< time so far that the worker was stopped with commands in flight
  };
  alignas(64) Device devices[kMaxSessionDevices];
  std::atomic<Ending> ending;  ///< why the session ends, written before the daemon ends it or when its worker has gone
};

}  // namespace amalgam::model
