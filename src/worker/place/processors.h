// SPDX-License-Identifier: Apache-2.0
// ComputeThreads: the threads of a processor's driver, and where they may run: the daemon says how, by what it sees.
//
//   threads before the driver was opened ─┐                                                        ┌▶ anywhere
//   threads after it                      ┴▶ new ones by name, as many as processors, or twice, … ─┼▶ one processor each
//                                                                                                  └▶ with the dispatcher
//
// Theory. Such a driver starts one thread for each processor and expects that they run side by side. Where all of them wake
// at once on a busy machine the kernel puts some of them on one processor, to be balanced milliseconds later. A worker that
// takes turns is stopped and continued up to a hundred times a second, and loses a good part of each turn; a slice with a
// small share, which is continued more often for its time, loses most: 10 % of the time was 7.5 % of the work. A tenant with
// the device for itself loses a tenth of its time where its launches take as long as that balancing. Bound one each, they
// come back where they were.
//
// An empty launch that is waited for is all wake-ups, of every thread of the driver for each launch. On the dispatcher's own
// processor that is a switch, elsewhere an interrupt, under a hypervisor 12 µs each: with all of them beside the dispatcher,
// and the program elsewhere, a launch takes 13 µs, else 35. The dispatcher is bound too then, or it wanders off. Woken, they
// must not interrupt it, since it holds the lock that they need: then each comes and goes several times for each launch
// (27 µs and not 9, by kernel). Only where there are few processors: dozens of threads would stand in each other's way.
//
// No driver is named. One that starts another number of threads is left alone, and so are its helpers, which are few and
// have other names.
//
// Threads: note() while the driver starts nothing, from a thread whose own affinity is the process's; all from one thread at
// a time. The dispatcher is the process's first thread.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/counters.h"
#include "protocol/control/control.h"
#include "worker/place/following_placer.h"

namespace amalgam::worker {

class ComputeThreads {
 public:
  /// `all`: where the process may run. The placer, the dispatcher's, stays as long.
  ComputeThreads(FollowingPlacer& placer, const cpu_set_t& all) : placer_(placer), all_(all) {}

  /// The threads that have been started since `before` was taken belong to a driver.
  void note(const std::vector<pid_t>& before);
  /// Where they may run because of this device of the session; any number is taken. Of all devices the largest counts.
  void bind(uint32_t device, protocol::Binding binding);
  /// For no device.
  void free();
  /// All of them.
  std::vector<pid_t> ids() const;
  /// How many threads may run on one processor only.
  size_t bound() const { return bound_; }

 private:
  using Wishes = std::array<protocol::Binding, model::kMaxSessionDevices>;
  void change(const Wishes& wishes);
  void apply();
  bool computes(const std::vector<pid_t>& pool) const;

  std::map<std::string, std::vector<pid_t>> pools_;  ///< by what their names have in common
  Wishes wishes_{};                                  ///< of the devices
  size_t bound_ = 0;
  FollowingPlacer& placer_;
  const cpu_set_t all_;
};

}  // namespace amalgam::worker
