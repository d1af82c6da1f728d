// SPDX-License-Identifier: Apache-2.0
// The probe: what a device really does, found by doing it. Names and claims decide nothing.
//
//   kShared      a buffer over memory that two processes can map; a kernel changes it; the change is seen without a map; the
//                memory is changed by hand; the next kernel sees that
//   svm_on_heap  the same with the bare address as a kernel argument, and with the driver's own copy
//
// Threads and blocking: waits for the device without bound; a hung driver is the probe process's to survive.
#pragma once

#include "model/device.h"
#include "south/device/device.h"

namespace amalgam::south::opencl {

/// Sets residency and svm_on_heap; a device that fails at what it must do becomes sick, with what failed.
void probe(Backend& backend, Device& opened, model::Device& device);

}  // namespace amalgam::south::opencl
