// SPDX-License-Identifier: Apache-2.0
// Events: what happened to whom and why, as an operator wants to know it afterwards, and how it is asked for.
//
// An event has a number that grows by one; the daemon keeps so many (event-count of `amalgam limits`), on its disk too. A
// user is told of devices and of his own sessions; root and the daemon's own user of everything.
//
// Threads: plain values.
#pragma once

#include <string_view>

#include "protocol/control/control.h"

namespace amalgam::protocol {

/// Written to disk: numbers are never used again.
enum class EventKind : uint8_t {
  kNone = 0,      ///< of a session: nothing that anybody wants to hear of
  kStarted = 1,   ///< the daemon
  kFound = 2,     ///< a device, or one that is well again
  kLost = 3,      ///< its driver does not show it any more
  kSick = 4,      ///< its driver hung, crashed or refused in the daemon's own probe
  kFaults = 5,    ///< one user's workers have failed on a device so often that it would be sick, were it not one user's word
  kCordoned = 6,  ///< by the daemon: nothing new opens there
  kUncordoned = 7,  ///< by an operator
  kDraining = 8,    ///< by an operator: nothing new opens there, what is there moves away
  kDrained = 9,     ///< nothing is there any more
  kUndrained = 10,
  kMoved = 11,       ///< a session, to another worker
  kMoveFailed = 12,  ///< it stays where it was
  kWorkerLost = 13,  ///< the worker of a session has ended, and with it the session
  kOpenFailed = 14,  ///< a worker could not open its devices
  kOverMemory = 15,  ///< a session held memory that nobody granted, and was ended
  kEscaped = 16,     ///< its worker ran although it was stopped, and was ended
  kEnded = 17,       ///< ended by the daemon for another reason
  kHung = 18,        ///< a slice's work does not leave the device
  kRecovered = 19,   ///< a reliable session has another worker
};
inline constexpr EventKind kLastEventKind = EventKind::kRecovered;

/// "worker-lost"; "unknown" for what is none of ours.
constexpr std::string_view event_name(EventKind kind) {
  switch (kind) {
    case EventKind::kNone: return "none";
    case EventKind::kStarted: return "started";
    case EventKind::kFound: return "found";
    case EventKind::kLost: return "lost";
    case EventKind::kSick: return "sick";
    case EventKind::kFaults: return "faults";
    case EventKind::kCordoned: return "cordoned";
    case EventKind::kUncordoned: return "uncordoned";
    case EventKind::kDraining: return "draining";
    case EventKind::kDrained: return "drained";
    case EventKind::kUndrained: return "undrained";
    case EventKind::kMoved: return "moved";
    case EventKind::kMoveFailed: return "move-failed";
    case EventKind::kWorkerLost: return "worker-lost";
    case EventKind::kOpenFailed: return "open-failed";
    case EventKind::kOverMemory: return "over-memory";
    case EventKind::kEscaped: return "escaped";
    case EventKind::kEnded: return "ended";
    case EventKind::kHung: return "hung";
    case EventKind::kRecovered: return "recovered";
  }
  return "unknown";
}

struct Event {
  static constexpr uint32_t kNobody = UINT32_MAX;  ///< it is about a device or the daemon
  uint64_t number = 0;
  uint64_t unix_ms = 0;
  EventKind kind = EventKind::kNone;
  uint32_t uid = kNobody;  ///< whose session it is about
  uint64_t session = 0, slice = 0;
  std::string device;  ///< of a session on several: all of them, with commas
  std::string text;    ///< why, and what more there is to say; from a worker perhaps: not to be printed as it is
  template <typename A>
  void fields(A& a) {
    a(number, unix_ms, kind, uid, session, slice, device, text);
  }
};

/// Answer: EventList.
struct ListEvents {
  static constexpr ControlType kType = ControlType::kListEvents;
  uint32_t version = kControlVersion;
  uint64_t after = 0;  ///< number to continue after
  bool wait = false;   ///< where there are none, the answer comes when there are
  template <typename A>
  void fields(A& a) {
    a(version, after, wait);
  }
};
struct EventList {
  static constexpr ControlType kType = ControlType::kEventList;
  uint64_t last = 0;  ///< to continue after
  bool more = false;  ///< there are further ones now
  std::vector<Event> entries;
  template <typename A>
  void fields(A& a) {
    a(last, more, entries);
  }
};

}  // namespace amalgam::protocol
