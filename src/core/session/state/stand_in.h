// SPDX-License-Identifier: Apache-2.0
// A place in a stream's order for work that is done outside of it: gates, launches in pieces.
//
// Threads: the dispatcher's.
#pragma once

#include "core/session/state/objects.h"

namespace amalgam::core {

/// The event that says that the place's turn has come, null if it has; and what makes the stream wait for `user`, which ends
/// the work: `follower`. Who ends `user` holds that until then: PoCL 3.1 aborts where something fails twice whose event
/// nobody holds (here by its place in the stream, then by `user`).
Result<south::EventPtr> stand_in(StreamObject& stream, south::Waits waits, south::Event& user, south::EventPtr& follower);

}  // namespace amalgam::core
