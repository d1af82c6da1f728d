// SPDX-License-Identifier: Apache-2.0
// clGetPlatformInfo. A platform is one driver; what it claims is what the driver says of itself, without the extensions that
// the front door does not carry.
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
  std::string text() const {
    return "OpenCL " + std::to_string(major) + "." + std::to_string(minor) + " Amalgam " AMALGAM_VERSION;
  }
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

/// What the platform's driver says of itself; null if it says nothing.
const std::vector<uint8_t>* own(cl_platform_id platform, cl_platform_info param) {
  return platform_property(platform->devices[0], param);
}

std::string name(cl_platform_id platform) {
  std::string name = text_of(own(platform, CL_PLATFORM_NAME));
  return platform->native ? name : "Amalgam (" + name + ")";
}

/// Extensions that every device has, without the loader's own, which no device names.
std::vector<std::string> common_extensions(const std::vector<cl_device_id>& devices) {
  std::vector<std::string> common;
  filter_names(text_of(device_property(devices[0], CL_DEVICE_EXTENSIONS)), [&](std::string_view name) {
    if (std::all_of(devices.begin(), devices.end(), [&](cl_device_id device) { return has_extension(device, name); }))
      common.emplace_back(name);
    return false;
  });
  return common;
}

std::string extensions(cl_platform_id platform) {
  std::string list = "cl_khr_icd";
  for (const std::string& name : common_extensions(platform->devices)) list += " " + name;
  return list;
}

std::vector<cl_name_version> versioned_extensions(cl_platform_id platform) {
  std::vector<cl_name_version> list = {{CL_MAKE_VERSION(1, 0, 0), "cl_khr_icd"}};
  const std::vector<uint8_t>* first = device_property(platform->devices[0], CL_DEVICE_EXTENSIONS_WITH_VERSION);
  const std::vector<std::string> common = common_extensions(platform->devices);
  for (const cl_name_version& entry : name_versions(first))
    if (std::find(common.begin(), common.end(), entry.name) != common.end()) list.push_back(entry);
  return list;
}

/// In ns; 0: there are no timers.
cl_ulong timer_resolution(cl_platform_id platform) {
  const std::vector<uint8_t>* value = own(platform, CL_PLATFORM_HOST_TIMER_RESOLUTION);
  cl_ulong resolution = 0;
  if (value != nullptr && value->size() >= sizeof resolution) std::memcpy(&resolution, value->data(), sizeof resolution);
  return resolution;
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
  if (!valid(platform, Kind::kPlatform)) return CL_INVALID_PLATFORM;
  const Version version = parse_version(text_of(own(platform, CL_PLATFORM_VERSION)));
  switch (param) {
    case CL_PLATFORM_NAME: return answer_text(name(platform), room, out, size_ret);
    case CL_PLATFORM_VENDOR:
      return answer_text(platform->native ? text_of(own(platform, param)) : "Amalgam", room, out, size_ret);
    case CL_PLATFORM_PROFILE: return answer_text(text_of(own(platform, CL_PLATFORM_PROFILE)), room, out, size_ret);
    // Whatever its name is: by this word a platform of the pool can be known.
    case CL_PLATFORM_ICD_SUFFIX_KHR: return answer_text("AMALGAM", room, out, size_ret);
    case CL_PLATFORM_EXTENSIONS: return answer_text(extensions(platform), room, out, size_ret);
    case CL_PLATFORM_HOST_TIMER_RESOLUTION: return answer(timer_resolution(platform), room, out, size_ret);
    case CL_PLATFORM_VERSION:
      return answer_text(platform->native ? text_of(own(platform, param)) : version.text(), room, out, size_ret);
    case CL_PLATFORM_NUMERIC_VERSION:
      return answer(cl_version{CL_MAKE_VERSION(version.major, version.minor, 0)}, room, out, size_ret);
    case CL_PLATFORM_EXTENSIONS_WITH_VERSION: {
      const std::vector<cl_name_version> list = versioned_extensions(platform);
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
