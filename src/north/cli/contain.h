// SPDX-License-Identifier: Apache-2.0
// contain(): takes the machine's own drivers away from a program that is about to run on a slice.
//
// A slice that is told in the environment alone is left by whatever clears the environment: `env -i`, sudo, su, a service
// that starts another. The program then finds the machine's own drivers, and nobody says so. Contained, it has a name space
// of mounts in which there is nothing else to find:
//
//     /etc/OpenCL/vendors        a folder of its own: our .icd file and the slice file (protocol/control/slice_file.h)
//     /dev/dri, /dev/nvidia* …   empty
//     everything else            as it is, and as it becomes later
//
// It is no wall: root can unmount, and what other processes start on the program's behalf was never inside. What it is and
// is not: docs/decisions/0017-what-keeps-a-program-in-its-slice.md.
//
// Threads: call from a process of one thread that is to become the program; it cannot be undone. Blocking: a few mounts.
#pragma once

#include <filesystem>

#include "base/error.h"
#include "protocol/control/slice_file.h"

namespace amalgam::cli {

/// Who may make a name space of mounts.
enum class Power : uint8_t {
  kOwn,    ///< whoever is allowed to mount: root, mostly
  kUsers,  ///< and others by a name space of users, in which set-uid programs gain nothing
};

/// Which of them it was. The error says what was not possible, and what would help.
Result<Power> contain(const std::filesystem::path& library, const protocol::SliceFile& slice, Power most);

}  // namespace amalgam::cli
