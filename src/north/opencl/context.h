// SPDX-License-Identifier: Apache-2.0
// How a context's property list is read, apart from the entry points so that tests can reach it.
//
// Threads: pure functions.
#pragma once

#include <vector>

#include "north/opencl/objects.h"

namespace amalgam::opencl {

struct ContextProperties {
  cl_platform_id platform = nullptr;         ///< null if none is named
  std::vector<cl_context_properties> given;  ///< the list for CL_CONTEXT_PROPERTIES, empty if there is none
  std::vector<int64_t> passed;               ///< what the driver shall see of it
};

/// Reads and checks a clCreateContext property list; the platform must be one of these.
cl_int read_context_properties(const cl_context_properties* properties, const std::vector<cl_platform_id>& platforms,
                               ContextProperties& read);

}  // namespace amalgam::opencl
