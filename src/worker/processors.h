// SPDX-License-Identifier: Apache-2.0
// ComputeThreads: the threads of a processor's driver, which get a processor each while their session takes turns.
//
//   threads before the driver was opened ─┐
//   threads after it                      ┴▶ new ones, by name ─▶ as many as processors (or twice, …): one each, in order
//
// Theory. Such a driver starts one thread for each processor and expects that they run side by side. A worker that takes
// turns is stopped and continued up to a hundred times a second, and where all its threads wake at once on a busy machine
// the kernel puts some of them on one processor, to be balanced milliseconds later: a good part of a turn. A slice with a
// small share, which is continued more often for its time, loses most: 10 % of the time was 7.5 % of the work. Pinned
// threads come back where they were. While nobody else wants the device they are free, because a thread that is bound to the
// processor on which the dispatcher, or the program, waits for it answers a short launch twice as late.
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
  /// The session is stopped and continued on this device from now on, or is not any more. Any number is taken.
  void take_turns(uint32_t device, bool takes);
  /// On no device.
  void rest();
  /// How many threads have been given a processor of their own.
  size_t pinned() const { return pinned_; }

 private:
  using Turns = std::bitset<model::kMaxSessionDevices>;
  void change(const Turns& turns);
  void apply();

  std::map<std::string, std::vector<pid_t>> pools_;  ///< by what their names have in common
  Turns turns_;
  size_t pinned_ = 0;
};

}  // namespace amalgam::worker
