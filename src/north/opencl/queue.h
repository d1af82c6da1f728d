// SPDX-License-Identifier: Apache-2.0
// How a queue's property list is read, apart from the entry points so that tests can reach it.
//
// Threads: pure functions.
#pragma once

#include <vector>

#include "north/opencl/objects.h"

namespace amalgam::opencl {

/// Checks a clCreateCommandQueueWithProperties list. `given` is the list with its 0 (empty if there is none), `bits` its
/// CL_QUEUE_PROPERTIES. Device-side queues are refused: no device of ours claims them.
cl_int read_queue_properties(const cl_queue_properties* properties, bool hints, std::vector<cl_queue_properties>& given,
                             cl_command_queue_properties& bits);

}  // namespace amalgam::opencl
