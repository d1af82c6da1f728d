// SPDX-License-Identifier: Apache-2.0
// Lists of devices: by type, and how a partition's property list is read.
//
// Threads: any.
#pragma once

#include <vector>

#include "north/opencl/objects.h"

namespace amalgam::opencl {

bool is_device_type(cl_device_type type);
/// Root devices that clGetDeviceIDs would return for the type.
std::vector<cl_device_id> devices_of_type(cl_platform_id platform, cl_device_type type);

/// Copies a clCreateSubDevices property list with its terminators. Empty if it is not one.
std::vector<cl_device_partition_property> read_partition(const cl_device_partition_property* properties);

}  // namespace amalgam::opencl
