// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/driver.h"

#include <dlfcn.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace amalgam::south::opencl {
namespace {

constexpr cl_uint kMaxPlatforms = 64;
constexpr cl_uint kMaxDriverDevices = 1024;

/// "OpenCL 3.0 PoCL 3.1" → 30; 10 for what cannot be read, so that only the oldest entries are used.
uint32_t parse_version(std::string_view text) {
  constexpr std::string_view kPrefix = "OpenCL ";
  uint32_t major = 0, minor = 0;
  if (!text.starts_with(kPrefix)) return 10;
  const char* end = text.data() + text.size();
  auto [dot, error] = std::from_chars(text.data() + kPrefix.size(), end, major);
  if (error != std::errc() || dot == end || *dot != '.') return 10;
  if (std::from_chars(dot + 1, end, minor).ec != std::errc() || minor > 9) return 10;
  return major * 10 + minor;
}

/// Bytes of the dispatch table that a platform of this version surely has.
size_t table_bytes(uint32_t version) {
  if (version >= 30) return sizeof(cl_icd_dispatch);
  if (version >= 22) return offsetof(cl_icd_dispatch, clCreateBufferWithProperties);
  if (version >= 21) return offsetof(cl_icd_dispatch, clSetProgramReleaseCallback);
  if (version >= 20) return offsetof(cl_icd_dispatch, clCloneKernel);
  if (version >= 12) return offsetof(cl_icd_dispatch, clCreateCommandQueueWithProperties);
  if (version >= 11) return offsetof(cl_icd_dispatch, clCreateSubDevices);
  return offsetof(cl_icd_dispatch, clSetEventCallback);
}

std::string platform_text(cl_platform_id id, cl_platform_info param) {
  auto bytes = query_bytes("clGetPlatformInfo", table_of(id).clGetPlatformInfo, id, param);
  if (!bytes) return {};
  std::string text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  return text.substr(0, text.find('\0'));
}

}  // namespace

Platform::Platform(cl_platform_id id)
    : id_(id), name_(platform_text(id, CL_PLATFORM_NAME)), version_text_(platform_text(id, CL_PLATFORM_VERSION)) {
  version_ = parse_version(version_text_);
  table_bytes_ = table_bytes(version_);
  // Two threads in Oclgrind 21.10's clBuildProgram crash it.
  builds_one_by_one_ = name_ == "Oclgrind";
}

void* Platform::extension(const char* function) const {
  if (auto for_platform = entry(id_, &cl_icd_dispatch::clGetExtensionFunctionAddressForPlatform))
    return for_platform(id_, function);
  auto any = entry(id_, &cl_icd_dispatch::clGetExtensionFunctionAddress);
  return any != nullptr ? any(function) : nullptr;
}

Result<std::vector<PlatformPtr>> load_driver(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = dlerror();
    return fail(Code::kNotFound, "open " + library + ": " + (why != nullptr ? why : "dlopen failed"));
  }
  auto address = reinterpret_cast<cl_api_clGetExtensionFunctionAddress>(dlsym(handle, "clGetExtensionFunctionAddress"));
  if (address == nullptr) return fail(Code::kDriver, library + ": no clGetExtensionFunctionAddress");
  void* symbol = address("clIcdGetPlatformIDsKHR");
  if (symbol == nullptr) symbol = dlsym(handle, "clIcdGetPlatformIDsKHR");
  if (symbol == nullptr) return fail(Code::kDriver, library + ": no clIcdGetPlatformIDsKHR");
  auto get_platforms = reinterpret_cast<clIcdGetPlatformIDsKHR_fn>(symbol);

  cl_uint count = 0;
  cl_int code = get_platforms(0, nullptr, &count);
  if (code == CL_PLATFORM_NOT_FOUND_KHR)
    count = 0;
  else if (code != CL_SUCCESS)
    return fail(driver_error("clIcdGetPlatformIDsKHR", code).within(library));
  count = std::min(count, kMaxPlatforms);
  std::vector<cl_platform_id> ids(count);
  if (count != 0) AMALGAM_TRY(checked("clIcdGetPlatformIDsKHR", get_platforms(count, ids.data(), nullptr)), library);
  std::vector<PlatformPtr> platforms;
  for (cl_platform_id id : ids) {
    if (id != nullptr) platforms.push_back(std::make_shared<const Platform>(id));
  }
  return platforms;
}

Result<std::vector<cl_device_id>> list_devices(const Platform& platform) {
  cl_uint count = 0;
  auto list = platform.entry(platform.id(), &cl_icd_dispatch::clGetDeviceIDs);
  if (list == nullptr) return fail(missing_entry("clGetDeviceIDs"));
  cl_int code = list(platform.id(), CL_DEVICE_TYPE_ALL, 0, nullptr, &count);
  if (code == CL_DEVICE_NOT_FOUND) return std::vector<cl_device_id>();
  if (code != CL_SUCCESS) return fail(driver_error("clGetDeviceIDs", code));
  count = std::min(count, kMaxDriverDevices);
  std::vector<cl_device_id> ids(count);
  if (count != 0)
    AMALGAM_TRY(checked("clGetDeviceIDs", list(platform.id(), CL_DEVICE_TYPE_ALL, count, ids.data(), nullptr)), "list");
  return ids;
}

}  // namespace amalgam::south::opencl
