// SPDX-License-Identifier: Apache-2.0
// ComputeThreads: the threads of a processor's driver, which get a processor each while the daemon says so.
//
//   threads before the driver was opened ─┐
//   threads after it                      ┴▶ new ones, by name ─▶ as many as processors (or twice, …): one each, in order
//
// Theory. Such a driver starts one thread for each processor and expects that they run side by side. Where all of them wake
// at once on a busy machine the kernel puts some of them on one processor, to be balanced milliseconds later. A worker that
// takes turns is stopped and continued up to a hundred times a second, and loses a good part of each turn; a slice with a
// small share, which is continued more often for its time, loses most: 10 % of the time was 7.5 % of the work. A tenant with
// the device for itself loses a tenth of its time where its launches take as long as that balancing. Bound threads come back
// where they were. For short launches they stay free, because a thread that is bound to the processor on which the
// dispatcher, or the program, waits for it answers them twice as late.
//
// No driver is named. One that starts another number of threads is left alone, and so are its helpers, which are few and
// have other names.
//
// Threads: note() while the driver starts nothing; the others from one thread, whose own affinity is the process's.
#pragma once

#include <sys/types.h>

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/counters.h"

namespace amalgam::worker {

/// Of this process, ascending; empty where /proc is not to be read.
std::vector<pid_t> thread_ids();

class ComputeThreads {
 public:
  /// The threads that have been started since `before` was taken belong to a driver.
  void note(const std::vector<pid_t>& before);
  /// For this device of the session they are to be bound from now on, or need not be any more. Any number is taken.
  void bind(uint32_t device, bool bound);
  /// For no device.
  void free();
  /// How many threads have been given a processor of their own.
  size_t bound() const { return bound_; }

 private:
  using Devices = std::bitset<model::kMaxSessionDevices>;
  void change(const Devices& devices);
  void apply();

  std::map<std::string, std::vector<pid_t>> pools_;  ///< by what their names have in common
  Devices devices_;                                  ///< that they are bound for
  size_t bound_ = 0;
};

}  // namespace amalgam::worker
