// SPDX-License-Identifier: Apache-2.0
// What an ICD loader finds: extension functions by name. The exported symbols themselves are in icd_main.cc.
//
// Threads: any.
#pragma once

#include "north/opencl/api.h"

namespace amalgam::opencl {

/// The function of that name, if it is one that a loader or a program asks for by name; else null.
void* find_function(const char* name);

/// clIcdGetPlatformIDsKHR: a platform for each driver of the slice; CL_PLATFORM_NOT_FOUND_KHR if it has no device.
cl_int list_platforms(cl_uint room, cl_platform_id* platforms, cl_uint* count);

/// clGetKernelSuggestedLocalWorkSizeKHR.
cl_int suggest_local_size(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t* offset,
                          const size_t* global, size_t* local);

}  // namespace amalgam::opencl
