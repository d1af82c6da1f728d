// SPDX-License-Identifier: Apache-2.0
// The devices of the slice, as the daemon lists them: asked page by page, and taken only as far as they make sense.
//
// Threads: any. Blocking: list_devices() for as long as a daemon may need to start, and no longer, however it answers.
#pragma once

#include <vector>

#include "protocol/control/control.h"

namespace amalgam::opencl {

/// $AMALGAM_SLICE, else what the slice file says: 32 hexadecimal digits, first word first. False if it is there and
/// malformed.
bool slice_token(protocol::Token& token);

struct DeviceListing {
  model::Identity identity = model::Identity::kAmalgam;  ///< under whose name the platforms shall appear
  std::vector<protocol::DeviceEntry> entries;            ///< at most kMaxDevices, with values as they came
};

/// Empty if there is no daemon, or none that we believe.
DeviceListing list_devices();

/// Drops every OpenCL value that is not of its query's shape, and ends the others' texts (shapes.h): for the program such a
/// value is one that the device does not have.
void keep_well_formed(protocol::DeviceEntry& entry);

}  // namespace amalgam::opencl
