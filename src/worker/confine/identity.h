// SPDX-License-Identifier: Apache-2.0
// Who a worker is: its user, and that it has no rights beyond it, now or later.
//
// Threads: call it while there is one: it binds the calling thread and those that it starts later.
#pragma once

#include "base/error.h"
#include "model/confinement.h"
#include "protocol/control/control.h"

namespace amalgam::worker {

/// Gives up every capability for good, also those that a program started later would bring, and becomes the user that the
/// order names. The report is what the kernel then says.
Result<void> take_identity(const protocol::Confine& order, model::Confinement& report);

}  // namespace amalgam::worker
