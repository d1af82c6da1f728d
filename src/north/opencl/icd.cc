// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/icd.h"

#include <cstring>

#include "north/opencl/objects.h"

namespace amalgam::opencl {

cl_int list_platforms(cl_uint room, cl_platform_id* platforms, cl_uint* count) {
  if ((room == 0 && platforms != nullptr) || (platforms == nullptr && count == nullptr)) return CL_INVALID_VALUE;
  Runtime& runtime = Runtime::get();
  const bool any = !runtime.devices().empty();
  if (count != nullptr) *count = any ? 1 : 0;
  if (!any) return CL_PLATFORM_NOT_FOUND_KHR;
  if (platforms != nullptr) platforms[0] = runtime.platform();
  return CL_SUCCESS;
}

void* find_function(const char* name) {
  if (name == nullptr) return nullptr;
  struct Entry {
    const char* name;
    void* function;
  };
  const Entry entries[] = {
      {"clIcdGetPlatformIDsKHR", reinterpret_cast<void*>(&list_platforms)},
      {"clGetPlatformInfo", reinterpret_cast<void*>(&api::clGetPlatformInfo)},
      {"clGetKernelSubGroupInfoKHR", reinterpret_cast<void*>(&api::clGetKernelSubGroupInfo)},
      {"clCreateProgramWithILKHR", reinterpret_cast<void*>(&api::clCreateProgramWithIL)},
      {"clCreateCommandQueueWithPropertiesKHR", reinterpret_cast<void*>(&api::clCreateCommandQueueWithProperties)},
      {"clGetKernelSuggestedLocalWorkSizeKHR", reinterpret_cast<void*>(&suggest_local_size)},
  };
  for (const Entry& entry : entries)
    if (std::strcmp(entry.name, name) == 0) return entry.function;
  return nullptr;
}

namespace api {

cl_int clGetPlatformIDs(cl_uint room, cl_platform_id* platforms, cl_uint* count) {
  return list_platforms(room, platforms, count);
}

void* clGetExtensionFunctionAddress(const char* name) { return find_function(name); }

void* clGetExtensionFunctionAddressForPlatform(cl_platform_id platform, const char* name) {
  return valid(platform, Kind::kPlatform) ? find_function(name) : nullptr;
}

}  // namespace api
}  // namespace amalgam::opencl
