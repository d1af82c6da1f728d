// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/session_events.h"

#include <signal.h>

#include <algorithm>
#include <utility>

namespace amalgam::daemon {
namespace {

using protocol::EventKind;

/// How processes end by what they, or their drivers, have done. SIGKILL is somebody's act; SIGSYS a wall's.
bool is_crash(int number) {
  constexpr int kCrashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
  return std::ranges::find(kCrashes, number) != std::end(kCrashes);
}

}  // namespace

protocol::Event event_of(const SessionRecord& session, EventKind kind, std::string text) {
  protocol::Event event{.kind = kind, .uid = session.uid, .session = session.id, .slice = session.slice};
  for (const std::string& device : session.devices) event.device += (event.device.empty() ? "" : ",") + device;
  event.text = session.program + ": " + std::move(text);
  return event;
}

DeviceKeeper::Session outline_of(const SessionRecord& session) {
  return {session.id, session.slice, session.uid, session.devices};
}

void note_end(const SessionRecord& session, Common& common, DeviceKeeper& keeper) {
  using Fault = DeviceKeeper::Fault;
  const bool was_open = session.state == SessionRecord::State::kLive;
  const bool has_crashed = session.end_kind == EventKind::kWorkerLost && is_crash(session.end_signal);
  if (session.end_kind != EventKind::kNone) common.events.add(event_of(session, session.end_kind, session.end_reason));
  if (has_crashed || session.end_kind == EventKind::kOpenFailed)
    return keeper.fault(outline_of(session), was_open ? Fault::kCrash : Fault::kOpen, session.end_reason);
  if (session.end_reason.empty() && was_open) keeper.well(outline_of(session), Suspicion::kEndedWell);
}

void note_lost_worker(const SessionRecord& session, DeviceKeeper& keeper) {
  if (is_crash(session.end_signal)) keeper.fault(outline_of(session), DeviceKeeper::Fault::kCrash, "its worker crashed");
}

}  // namespace amalgam::daemon
