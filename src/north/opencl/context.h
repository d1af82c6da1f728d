// SPDX-License-Identifier: Apache-2.0
// How a context's property list is read, apart from the entry points so that tests can reach it.
//
// Threads: pure functions.
#pragma once

#include <vector>

#include "north/opencl/objects.h"

namespace amalgam::opencl {

/// Checks a clCreateContext property list against our platform. `given` is the list for CL_CONTEXT_PROPERTIES (empty if
/// there is none), `passed` what the driver shall see of it.
cl_int read_context_properties(const cl_context_properties* properties, cl_platform_id platform,
                               std::vector<cl_context_properties>& given, std::vector<int64_t>& passed);

/// True if one driver has both devices, so that they can share a context.
bool same_driver(cl_device_id a, cl_device_id b);

}  // namespace amalgam::opencl
