// SPDX-License-Identifier: Apache-2.0
// clGetPlatformInfo. One platform holds the devices of all drivers of the slice; what it claims is what all of them have, at
// the version of the highest.
#include <algorithm>
#include <cstring>

#include "north/opencl/overlay.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {
namespace {

std::string text_of(const std::vector<uint8_t>* value) {
  if (value == nullptr) return {};
  std::string text(reinterpret_cast<const char*>(value->data()), value->size());
  text.resize(std::min(text.find('\0'), text.size()));
  return text;
}

struct Version {
  unsigned major = 1, minor = 0;
  auto operator<=>(const Version&) const = default;
};

/// "OpenCL <major>.<minor> …"
Version parse_version(const std::string& text) {
  Version version;
  const char* at = std::strchr(text.c_str(), ' ');
  char* end = nullptr;
  if (at == nullptr) return version;
  version.major = static_cast<unsigned>(std::strtoul(at, &end, 10));
  if (*end == '.') version.minor = static_cast<unsigned>(std::strtoul(end + 1, nullptr, 10));
  return version;
}

Version platform_version() {
  Version highest;
  for (cl_device_id device : Runtime::get().devices())
    highest = std::max(highest, parse_version(text_of(device_property(device, CL_DEVICE_VERSION))));
  return highest;
}

std::string profile() {
  for (cl_device_id device : Runtime::get().devices())
    if (text_of(device_property(device, CL_DEVICE_PROFILE)) == "FULL_PROFILE") return "FULL_PROFILE";
  return "EMBEDDED_PROFILE";
}

/// Extensions that every device has, without the loader's own, which no device names.
std::vector<std::string> common_extensions() {
  std::vector<std::string> common;
  const std::vector<cl_device_id>& devices = Runtime::get().devices();
  filter_names(text_of(device_property(devices[0], CL_DEVICE_EXTENSIONS)), [&](std::string_view name) {
    if (std::all_of(devices.begin(), devices.end(), [&](cl_device_id device) { return has_extension(device, name); }))
      common.emplace_back(name);
    return false;
  });
  return common;
}

std::string extensions() {
  std::string list = "cl_khr_icd";
  for (const std::string& name : common_extensions()) list += " " + name;
  return list;
}

std::vector<cl_name_version> versioned_extensions() {
  std::vector<cl_name_version> list = {{CL_MAKE_VERSION(1, 0, 0), "cl_khr_icd"}};
  const std::vector<uint8_t>* first = device_property(Runtime::get().devices()[0], CL_DEVICE_EXTENSIONS_WITH_VERSION);
  const std::vector<std::string> common = common_extensions();
  for (const cl_name_version& entry : name_versions(first))
    if (std::find(common.begin(), common.end(), entry.name) != common.end()) list.push_back(entry);
  return list;
}

/// The drivers' common resolution in ns; 0 (no timers) if one has none or they differ.
cl_ulong timer_resolution() {
  cl_ulong common = 0;
  for (cl_device_id device : Runtime::get().devices()) {
    const std::vector<uint8_t>* value = platform_property(device, CL_PLATFORM_HOST_TIMER_RESOLUTION);
    cl_ulong own = 0;
    if (value == nullptr || value->size() < sizeof own) return 0;
    std::memcpy(&own, value->data(), sizeof own);
    common = std::max(common, own);
    if (own == 0) return 0;
  }
  return common;
}

}  // namespace

std::vector<cl_name_version> name_versions(const std::vector<uint8_t>* value) {
  std::vector<cl_name_version> list(value == nullptr ? 0 : value->size() / sizeof(cl_name_version));
  if (!list.empty()) std::memcpy(list.data(), value->data(), list.size() * sizeof(cl_name_version));
  return list;
}

bool has_extension(cl_device_id device, std::string_view name) {
  bool found = false;
  filter_names(text_of(device_property(device, CL_DEVICE_EXTENSIONS)), [&](std::string_view own) {
    found |= own == name;
    return false;
  });
  return found;
}

namespace api {

cl_int clGetPlatformInfo(cl_platform_id platform, cl_platform_info param, size_t room, void* out, size_t* size_ret) {
  if (!valid(platform, Kind::kPlatform) || Runtime::get().devices().empty()) return CL_INVALID_PLATFORM;
  switch (param) {
    case CL_PLATFORM_NAME:
    case CL_PLATFORM_VENDOR: return answer_text("Amalgam", room, out, size_ret);
    case CL_PLATFORM_PROFILE: return answer_text(profile(), room, out, size_ret);
    case CL_PLATFORM_ICD_SUFFIX_KHR: return answer_text("AMALGAM", room, out, size_ret);
    case CL_PLATFORM_EXTENSIONS: return answer_text(extensions(), room, out, size_ret);
    case CL_PLATFORM_HOST_TIMER_RESOLUTION: return answer(timer_resolution(), room, out, size_ret);
    case CL_PLATFORM_VERSION: {
      const Version version = platform_version();
      return answer_text(
          "OpenCL " + std::to_string(version.major) + "." + std::to_string(version.minor) + " Amalgam " AMALGAM_VERSION,
          room, out, size_ret);
    }
    case CL_PLATFORM_NUMERIC_VERSION: {
      const Version version = platform_version();
      return answer(cl_version{CL_MAKE_VERSION(version.major, version.minor, 0)}, room, out, size_ret);
    }
    case CL_PLATFORM_EXTENSIONS_WITH_VERSION: {
      const std::vector<cl_name_version> list = versioned_extensions();
      return answer(list.data(), list.size() * sizeof(cl_name_version), room, out, size_ret);
    }
    default: return CL_INVALID_VALUE;
  }
}

cl_int clUnloadPlatformCompiler(cl_platform_id platform) {
  return valid(platform, Kind::kPlatform) ? CL_SUCCESS : CL_INVALID_PLATFORM;
}

cl_int clUnloadCompiler() { return CL_SUCCESS; }

}  // namespace api
}  // namespace amalgam::opencl
