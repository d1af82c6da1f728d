// SPDX-License-Identifier: Apache-2.0
// Decision: who runs next on a device, for how long, and under which rule. Snapshot and Hints: all that a policy may look
// at.
//
// A policy is a pure function of these, so the daemon and a replay decide alike, and every decision can be asked for its
// reason.
//
// Threads: plain values and pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/sched/shares.h"

namespace amalgam::core {

/// Why one slice runs, or why another waits for it.
enum class Rule : uint8_t {
  kNone = 0,     ///< nothing was decided yet
  kAlone,        ///< nobody else wanted the device
  kClass,        ///< a more urgent class goes first
  kFair,         ///< same class: the earliest virtual deadline of those that are not ahead of their share
  kReturn,       ///< same class: it was idle, comes back and is within its share
  kWithinShare,  ///< a more urgent class within its own share goes before a guarantee that is behind
  kGuarantee,    ///< a guaranteed share that is behind goes before a more urgent class that is ahead of its own
  kStarvation,   ///< its class had waited for the bound of starvation
  kDeadline,     ///< the earliest deadline of a launch
  kQuantum,      ///< waiting only: the quantum of the one who runs is not over
  kDrain,        ///< waiting only: revoked work has not left the device yet
  kSwitch,       ///< waiting only: between two holders
  kHung,         ///< waiting only: its own work hangs
};
inline constexpr size_t kRules = 13;

/// "fair", "guarantee", …
std::string_view rule_name(Rule rule);
/// A sentence for `amalgam explain`.
std::string_view rule_text(Rule rule);

/// A slice that wants the device now and may have it.
struct Candidate {
  SliceId slice = 0;
  Priority priority = Priority::kNormal;
  uint32_t share_ppm = 0;
  uint32_t weight_ppm = kWholePpm;
  int64_t vruntime_ns = 0;
  int64_t credit_ns = 0;
  uint64_t ready_since_ns = 0;  ///< since when it could have run
  uint64_t deadline_ns = 0;     ///< of its earliest launch; 0: none
  bool returned = false;        ///< was idle, and has not run since
};

struct Snapshot {
  uint64_t now_ns = 0;
  std::vector<Candidate> candidates;
  /// Since when each class has waited without a turn of its own.
  std::array<uint64_t, kPriorities> unserved_since_ns{};
};

/// What is configured.
struct Hints {
  uint64_t quantum_ns = 10'000'000;
  uint64_t short_quantum_ns = 2'000'000;  ///< of a quantum that a more urgent class must wait for
  /// After so long without a turn a class gets one quantum; 0: never.
  std::array<uint64_t, kPriorities> starvation_ns = {0, 1'000'000'000, 1'000'000'000, 5'000'000'000, 0};
};

struct Decision {
  SliceId slice = 0;  ///< 0: nobody wants the device
  uint64_t quantum_ns = 0;
  Rule rule = Rule::kNone;
};

/// Under which rule `waiter` waits while `runner` runs under `rule`.
Rule waiting_rule(Rule rule, Priority runner, Priority waiter);

}  // namespace amalgam::core
