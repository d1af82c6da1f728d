// SPDX-License-Identifier: Apache-2.0
// The sim backend: devices that compute for real but in virtual time, from a seed, with faults on demand.
//
//   enqueue ─▶ stream ─▶ ready set of an engine ─▶ [virtual clock] ─▶ effect on memory ─▶ event, callbacks
//                         the seed picks among the ready
//
// Why: what must hold when a device dies, hangs or a link is slow can only be tested where that happens at will, and again
// in the same way. There is no thread and no sleep: time passes when flush() or a signal lets the clock run, or when a test
// says so (SimConfig::manual). Equal seeds and equal calls give equal orders and times.
//
// Kernels are the built-in ones of builtins.h, named by a small text (module_text.h). No images, samplers or sub-groups.
//
// Threads: everything may be called from any; callbacks run on whichever thread let the clock run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "south/device/device.h"

namespace amalgam::south {

struct SimConfig {
  uint64_t seed = 1;
  uint32_t devices = 1;
  uint32_t compute_units = 4;
  uint64_t memory_bytes = 1 * kGiB;
  uint64_t max_alloc_bytes = 256 * kMiB;
  bool shared_memory = true;            ///< Residency::kShared and svm_on_heap
  bool manual = false;                  ///< the clock runs only when the controller says so
  uint64_t launch_overhead_ns = 5'000;  ///< before the first work-item of a launch
  uint64_t item_ns = 1;                 ///< a work-item on one compute unit
  uint64_t transfer_latency_ns = 2'000;
  uint64_t link_bytes_per_us = 10'000;
  uint64_t jitter_percent = 10;    ///< durations vary by this, out of the seed
  bool shuffle_callbacks = false;  ///< called in any order, out of the seed, as by a driver with several threads
};

/// The hand on the clock and on the faults. Shared with the backend; may outlive it.
class SimController {
 public:
  virtual ~SimController() = default;

  virtual uint64_t now_ns() const = 0;
  /// Lets the clock run to the next thing that happens; false if nothing can happen any more.
  virtual bool step() = 0;
  /// Lets `ns` pass.
  virtual void advance(uint64_t ns) = 0;
  /// Lets the clock run until nothing can happen any more.
  virtual void run() = 0;

  /// The device is gone: what was given to it fails with CL_DEVICE_NOT_AVAILABLE, and so does every later call.
  virtual void lose_device(uint32_t device) = 0;
  /// The next launch of a kernel with this name on the device never ends by itself.
  virtual void hang_kernel(uint32_t device, const std::string& kernel) = 0;
  /// Hung kernels end now.
  virtual void unhang(uint32_t device) = 0;
  /// Transfers of the device take `factor` times as long.
  virtual void slow_link(uint32_t device, uint64_t factor) = 0;
  /// Builds fail with this log until it is set to empty.
  virtual void fail_builds(const std::string& log) = 0;
  /// What ended so far, in order: "1200 launch fill_index 0". Bounded; the oldest go.
  virtual std::vector<std::string> trace() const = 0;
};

std::shared_ptr<SimController> make_sim_controller(const SimConfig& config);

/// The backend "sim" on the controller's world.
std::unique_ptr<Backend> make_sim_backend(std::shared_ptr<SimController> controller);
std::unique_ptr<Backend> make_sim_backend(const SimConfig& config = {});

}  // namespace amalgam::south
