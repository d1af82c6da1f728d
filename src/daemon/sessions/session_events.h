// SPDX-License-Identifier: Apache-2.0
// What becomes of a session, as an event, and as what it says of its devices.
//
// Threads: the loop's. Nothing blocks.
#pragma once

#include <string>

#include "daemon/sessions/session_registry.h"
#include "daemon/slices/device_keeper.h"

namespace amalgam::daemon {

protocol::Event event_of(const SessionRecord& session, protocol::EventKind kind, std::string text);
DeviceKeeper::Session outline_of(const SessionRecord& session);
/// It has gone: says why, unless its program has ended; and whether that speaks for or against its devices.
void note_end(const SessionRecord& session, Common& common, DeviceKeeper& keeper);

/// It has lost its worker and lives on.
void note_lost_worker(const SessionRecord& session, DeviceKeeper& keeper);

}  // namespace amalgam::daemon
