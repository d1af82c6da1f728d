// SPDX-License-Identifier: Apache-2.0
// Counters: what one session has used so far. The worker writes them into a page that it shares with the daemon; `ps`,
// `top` and the metrics endpoint all read that one place. All counts only grow, except the *_now fields.
//
// Threads: relaxed atomics; each field is right on its own, the set is not a snapshot.
#pragma once

#include <atomic>
#include <cstdint>

#include "model/latency.h"

namespace amalgam::model {

inline constexpr uint32_t kMaxSessionDevices = 16, kMaxRunners = 8;

struct Counters {
  std::atomic<uint64_t> device_time_ns[kMaxSessionDevices];  ///< time on the device, from its own profiling events
  std::atomic<uint64_t> commands;                            ///< commands executed
  std::atomic<uint64_t> launches;                            ///< of which kernel launches
  std::atomic<uint64_t> bytes_written;                       ///< program → device
  std::atomic<uint64_t> bytes_read;                          ///< device → program
  std::atomic<uint64_t> bytes_copied;                        ///< within the pool
  std::atomic<uint64_t> waits;                               ///< times the client asked to be told of an end
  std::atomic<uint64_t> errors;         ///< commands that the driver refused or that ended with an error
  std::atomic<uint64_t> in_flight_now;  ///< commands handed to the driver that have not completed
  std::atomic<uint64_t> memory_now;     ///< bytes of live objects
  std::atomic<uint64_t> memory_peak;
  std::atomic<uint64_t> memory_granted;  ///< bytes reserved in the ledger (memory_now plus slack)
  std::atomic<uint64_t> pieces;          ///< what launches that were cut went to the driver as

  std::atomic<uint64_t> points;  ///< of a reliable session's journal

  /// What the arbiter wants to know; the other half is Grants.
  struct Claim {
    std::atomic<uint32_t> in_flight;      ///< commands that work on the device, handed to the driver, not completed
    std::atomic<uint32_t> wanting;        ///< 1: the next command waits for a grant
    std::atomic<uint64_t> idle_since_ns;  ///< CLOCK_MONOTONIC when in_flight last became 0
  };
  alignas(64) Claim claims[kMaxSessionDevices];
  std::atomic<int32_t> runners[kMaxRunners];  ///< threads that compute, of a processor's driver: some of them; 0: none

  /// Launches that have ended, by how long that took since the worker took them up: latency_bucket()s of each device.
  std::atomic<uint32_t> latencies[kMaxSessionDevices][kLatencyBuckets];
};

}  // namespace amalgam::model
