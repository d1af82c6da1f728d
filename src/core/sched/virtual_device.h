// SPDX-License-Identifier: Apache-2.0
// VirtualDevice: one device in virtual time, run by a real Arbiter. Replays traces (replay.h) and proves the arbiter's
// promises in tests, in the same way as the daemon binds it: observe, step, carry out, drained.
//
//   workloads ──arrive──▶ queue of each slice ──granted──▶ one launch (or one piece of it) at a time ──▶ done
//
// A freezable device stops a launch in its middle and goes on with it later. Another one finishes the piece that runs: the
// whole launch, or piece_ns of it where launches are split. A change of holder costs switch_ns before the first work runs.
//
// It also watches the arbiter: first_violation() says the first time that two slices held the device, that work ran without
// a grant, or that a launch was started twice.
//
// Threads: none; nothing blocks; no clock. Memory grows with the launches that wait.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/sched/arbiter.h"
#include "core/sched/slo.h"

namespace amalgam::core {

struct Launch {
  /// A kernel that never ends; on a device that does not freeze, its slice hangs.
  static constexpr uint64_t kEndlessNs = UINT64_MAX / 4;
  uint64_t arrival_ns = 0;
  uint64_t length_ns = 0;
};

struct Workload {
  /// Closed: the next launch is asked for when the last one is done, with that time. Open: with the arrival of the one
  /// before.
  bool closed = true;
  /// Called with 0 at first; nothing: no more launches. An arrival before the time that it was called with counts as that
  /// time.
  std::function<std::optional<Launch>(uint64_t from_ns)> next;
};

class VirtualDevice {
 public:
  struct Options {
    Arbiter::Options arbiter;
    uint64_t switch_ns = 30'000;
    uint64_t piece_ns = 0;  ///< 0: launches run whole
  };
  struct Tally {
    uint64_t executed_ns = 0;  ///< kernels ran
    uint64_t held_ns = 0;      ///< from grant to release
    uint64_t arrived = 0, completed = 0, lost = 0, waiting = 0;
    uint64_t completed_ns = 0;    ///< sum of the lengths of the completed
    uint64_t unfinished_ns = 0;   ///< executed of the launch that is not done
    LatencySketch wait, latency;  ///< arrival to start, arrival to end
  };

  explicit VirtualDevice(const Options& options);

  Result<void> add(SliceId slice, std::string name, const Terms& terms, Workload workload);
  void remove(SliceId slice);
  Result<void> set_terms(SliceId slice, const Terms& terms);
  Result<void> set_policy(std::string_view name);
  /// Everything on the device is lost; closed workloads begin again.
  void lose();
  void run_until(uint64_t end_ns);

  uint64_t now_ns() const { return now_ns_; }
  Arbiter& arbiter() { return arbiter_; }
  const Tally& tally(SliceId slice);
  const Totals& totals(SliceId slice) { return *arbiter_.totals(now_ns_, slice); }
  /// Slices that the arbiter reported as hung; the device ended them.
  const std::vector<SliceId>& hung() const { return hung_; }
  uint64_t steps() const { return steps_; }
  const std::string& first_violation() const { return first_violation_; }

 private:
  struct Tenant {
    SliceId id = 0;
    Workload workload;
    std::optional<Launch> next;
    std::deque<Launch> queue;
    Launch current;
    uint64_t remaining_ns = 0;  ///< of `current`; 0: none
    bool has_goal = false, reported_busy = false;
    uint64_t reported_oldest_ns = 0;
    uint64_t held_since_ns = 0;
    Tally tally;
  };

  Tenant* find(SliceId slice);
  void arm(Tenant& tenant, uint64_t from_ns);
  void arrive(Tenant& tenant);
  bool report(Tenant& tenant);
  uint64_t next_event() const;
  void dispatch();
  void end_piece();
  void finish(Tenant& tenant);
  void start_work();
  void count_running();
  void stop_work();
  void decide();
  void carry_out(const Arbiter::Action& action);
  void release();
  void drop_work(Tenant& tenant);
  void violate(const std::string& what);

  Options options_;
  Arbiter arbiter_;
  std::vector<std::unique_ptr<Tenant>> tenants_;
  Tenant* occupant_ = nullptr;  ///< whose grant or rest of work is on the device
  bool may_start_ = false;      ///< the occupant's grant holds
  bool running_ = false;
  uint64_t ready_ns_ = 0, started_ns_ = 0, piece_end_ns_ = 0;
  SliceId last_ = 0;
  uint64_t wake_ns_ = 0, now_ns_ = 0, steps_ = 0;
  std::vector<SliceId> hung_;
  std::string first_violation_;
};

}  // namespace amalgam::core
