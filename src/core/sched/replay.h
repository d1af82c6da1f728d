// SPDX-License-Identifier: Apache-2.0
// Replay: a recorded trace of launches, run in virtual time under a policy; the pure part of `amalgam sim`.
//
// A trace is JSON lines, in the order of time. A line with length_ns is a launch, any other line sets terms (and makes the
// slice the first time):
//
//   {"at_ns": 0, "slice": "train", "share": "30%", "priority": "low"}
//   {"at_ns": 1200, "slice": "train", "length_ns": 500000}
//   {"at_ns": 9000000, "slice": "train", "cap": "50%"}
//
// share, cap, priority, slo and weight are as in terms.h; what a line does not name stays. A key that a line of its kind
// does not have is an error: left alone, a slip would make a launch into a line of terms. Arrivals are as recorded, whatever
// the policy does to them, so a device that is overloaded ends late and says so.
//
// Threads: pure functions; no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/sched/virtual_device.h"

namespace amalgam::core {

struct Trace {
  struct Change {
    uint64_t at_ns = 0;
    size_t line = 0;   ///< of the text, from 1 on
    size_t slice = 0;  ///< index into `names`
    Terms terms;
  };
  std::vector<std::string> names;
  std::vector<Change> changes;                ///< the first of a slice makes it
  std::vector<std::vector<Launch>> launches;  ///< of each slice
  uint64_t end_ns = 0;                        ///< the last arrival or change
};

/// kInvalidArgument says which line and why; kLimit: more than kTraceLaunches launches.
Result<Trace> parse_trace(std::string_view text);

struct ReplayRow {
  std::string name;
  uint64_t launches = 0, completed = 0;
  double asked = 0;  ///< the last guaranteed share, as a part
  double got = 0;    ///< part of the time until the last work was done
  uint64_t wait_p50_ns = 0, wait_p99_ns = 0, wait_most_ns = 0, latency_p99_ns = 0;
  uint64_t throttled_ns = 0, preemptions = 0;
};

struct ReplayReport {
  std::string policy;
  uint64_t end_ns = 0;  ///< when the last work was done
  double busy = 0;      ///< part of that time in which kernels ran
  uint64_t decisions = 0;
  std::vector<ReplayRow> rows;
};

/// kNotFound: no such policy; kLimit: a change of terms that admission refuses, with its line; kTimeout: the work is not
/// done kReplayPatience times after the trace's end.
Result<ReplayReport> replay(const Trace& trace, std::string_view policy, const VirtualDevice::Options& options);

}  // namespace amalgam::core
