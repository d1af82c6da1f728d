// SPDX-License-Identifier: Apache-2.0
// What a driver says about a device, as a model::Device: the fields that everybody needs, and every value word for word for
// the front door.
//
// Threads: any; asks the driver only. What a device *does* is the probe's part (residency_probe.h).
#pragma once

#include "model/device.h"
#include "south/device/opencl/driver.h"

namespace amalgam::south::opencl {

/// Everything but library and indices. A device that its driver calls unavailable comes back sick.
model::Device describe(const Platform& platform, cl_device_id id);

}  // namespace amalgam::south::opencl
