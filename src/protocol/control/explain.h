// SPDX-License-Identifier: Apache-2.0
// Explain and Explanation: the question where a session's time went, and the answer, one device a message.
//
// Everything that a reader needs is in the answer: slices and rules are numbers with their names beside them, so whoever
// shows it knows nothing of the scheduler. The answer is bounded (kExplainDecisions, kExplainNames) and fits into one
// control message whatever happened. Whoever wants to miss nothing asks again with the number of the last decision seen.
//
// Threads: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/terms.h"
#include "protocol/control/control.h"

namespace amalgam::protocol {

/// Every slice that the asker may not know the name of.
inline constexpr uint64_t kAnotherSlice = UINT64_MAX;

/// Owner of the session's slice, the daemon's user and root only. Answer: Explanation.
struct Explain {
  static constexpr ControlType kType = ControlType::kExplain;
  uint32_t version = kControlVersion;
  uint64_t session = 0;
  uint32_t device = 0;  ///< index into the slice's devices
  uint64_t after = 0;   ///< decisions with larger numbers than this one
  uint64_t most = 0;    ///< the newest of them, so many, and never more than kExplainDecisions
  template <typename A>
  void fields(A& a) {
    a(version, session, device, after, most);
  }
};

struct WaitPart {
  uint64_t slice = 0;  ///< that held the device meanwhile; 0: nobody
  uint8_t rule = 0;    ///< index into Explanation::rules
  uint64_t waited_ns = 0;
  template <typename A>
  void fields(A& a) {
    a(slice, rule, waited_ns);
  }
};

struct DecisionEntry {
  uint64_t at_ns = 0;
  uint64_t until_ns = 0;  ///< planned; UINT64_MAX: until somebody else comes
  uint64_t slice = 0;     ///< that got the device
  uint8_t rule = 0;
  uint64_t previous = 0;         ///< that held it before; the same one if it goes on
  uint64_t previous_end_ns = 0;  ///< when that one stopped
  std::string previous_ended;    ///< why: "quantum", "preempted", "idle", "cap", "removed", "lost", "none"
  uint32_t passed_over = 0;      ///< how many wanted the device too
  std::vector<uint64_t> passed;  ///< the first of them
  template <typename A>
  void fields(A& a) {
    a(at_ns, until_ns, slice, rule, previous, previous_end_ns, previous_ended, passed_over, passed);
  }
};

struct SliceName {
  uint64_t slice = 0;
  std::string name;
  template <typename A>
  void fields(A& a) {
    a(slice, name);
  }
};

struct RuleName {
  std::string name, text;  ///< "fair", and a sentence
  template <typename A>
  void fields(A& a) {
    a(name, text);
  }
};

struct Explanation {
  static constexpr ControlType kType = ControlType::kExplanation;
  uint64_t session = 0, slice = 0;
  std::string program, slice_name;
  uint32_t devices = 0;  ///< of the slice
  std::string device_id;
  model::Terms terms;
  std::string policy;
  std::string goal;        ///< how its latency goal is kept, in words; empty without one
  std::string ungoverned;  ///< why nothing is decided about it here; then all below is empty
  uint64_t now_ns = 0;     ///< the monotonic clock of the other times
  uint64_t holder = 0;     ///< who holds the device now
  uint64_t ran_ns = 0, waited_ns = 0, throttled_ns = 0, idle_ns = 0, lent_ns = 0, quanta = 0, preemptions = 0;
  std::vector<WaitPart> waits;           ///< their sum is waited_ns; the longest first
  uint64_t last_decision = 0;            ///< number of the device's last one
  uint64_t missed = 0;                   ///< how many after `after` are not here: forgotten, or more than were asked for
  std::vector<DecisionEntry> decisions;  ///< the oldest first; the last is number last_decision
  std::vector<SliceName> slices;
  std::vector<RuleName> rules;
  uint64_t vacated_ns = 0;  ///< where nobody holds the device: when the last decision's slice stopped; 0: not known
  std::string vacated_why;  ///< why: as previous_ended
  bool ended = false;       ///< the session has gone; all times are those of its end
  uint64_t ended_ago_ms = 0;
  std::string ended_why;  ///< why it was ended, or ended by itself; empty: its program has ended
  template <typename A>
  void fields(A& a) {
    a(session, slice, program, slice_name, devices, device_id, terms, policy, goal, ungoverned, now_ns, holder, ran_ns,
      waited_ns, throttled_ns, idle_ns, lent_ns, quanta, preemptions, waits, last_decision, missed, decisions, slices, rules,
      vacated_ns, vacated_why, ended, ended_ago_ms, ended_why);
  }
};

}  // namespace amalgam::protocol
