// SPDX-License-Identifier: Apache-2.0
// The symbols of the shared library: all that loaders look up by name. Everything else is reached through the dispatch
// table.
#include "north/opencl/icd.h"

#define AMALGAM_EXPORT extern "C" __attribute__((visibility("default")))

AMALGAM_EXPORT CL_API_ENTRY void* CL_API_CALL clGetExtensionFunctionAddress(const char* name) {
  return amalgam::opencl::find_function(name);
}

AMALGAM_EXPORT CL_API_ENTRY cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint room, cl_platform_id* platforms,
                                                                      cl_uint* count) {
  return amalgam::opencl::list_platforms(room, platforms, count);
}

AMALGAM_EXPORT CL_API_ENTRY cl_int CL_API_CALL clGetPlatformInfo(cl_platform_id platform, cl_platform_info param,
                                                                 size_t room, void* out, size_t* size_ret) {
  return amalgam::opencl::api::clGetPlatformInfo(platform, param, room, out, size_ret);
}
