// SPDX-License-Identifier: Apache-2.0
// The OpenCL backend: every device that an installed OpenCL driver shows, reached without a loader library.
//
//   .icd files ─▶ libraries() ─▶ dlopen ─▶ clIcdGetPlatformIDsKHR ─▶ platforms ─▶ devices
//
// Why without a loader: one process opens exactly the driver that it needs. A worker of one session must not run the
// start-up code of every driver of the machine, and our own front door is installed as a driver too.
//
// Threads and blocking: as device.h promises. A library stays open until the process ends: drivers keep threads and
// exit handlers that do not survive dlclose.
#pragma once

#include <memory>

#include "south/device/device.h"

namespace amalgam::south {

/// The backend "opencl". Opens nothing yet.
std::unique_ptr<Backend> make_opencl_backend();

}  // namespace amalgam::south
