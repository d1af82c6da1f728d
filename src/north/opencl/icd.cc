// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/icd.h"

#include <algorithm>
#include <cstring>

#include "north/opencl/objects.h"

namespace amalgam::opencl {

cl_int list_platforms(cl_uint room, cl_platform_id* platforms, cl_uint* count) {
  if ((room == 0 && platforms != nullptr) || (platforms == nullptr && count == nullptr)) return CL_INVALID_VALUE;
  const std::vector<cl_platform_id>& found = Runtime::get().platforms();
  if (count != nullptr) *count = static_cast<cl_uint>(found.size());
  if (found.empty()) return CL_PLATFORM_NOT_FOUND_KHR;
  if (platforms != nullptr) std::copy_n(found.begin(), std::min<size_t>(room, found.size()), platforms);
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
