// SPDX-License-Identifier: Apache-2.0
// Probing: what the daemon asks a short-lived worker, because drivers hang and crash.
//
//   --libraries BACKEND      one DeviceList whose entries have only backend and library, then Done
//   --probe BACKEND LIBRARY  a DeviceList for every device, with its properties, then Done; or Refused
//
// Threads: main only. Blocking: as long as the driver takes; the daemon has the clock.
#pragma once

#include <string>

#include "protocol/control/channel.h"

namespace amalgam::worker {

/// Both return the process's exit status.
int list_libraries(const protocol::Channel& daemon, const std::string& backend);
int probe(const protocol::Channel& daemon, const std::string& backend, const std::string& library);

}  // namespace amalgam::worker
