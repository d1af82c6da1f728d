// SPDX-License-Identifier: Apache-2.0
#include "worker/backends.h"

#if __has_include("south/device/opencl/opencl.h")
#include "south/device/opencl/opencl.h"
#endif

namespace amalgam::worker {
namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<south::Backend> (*make)();
};

constexpr Entry kBackends[] = {
    {"opencl", south::make_opencl_backend},
};

}  // namespace

std::unique_ptr<south::Backend> make_backend(std::string_view name) {
  for (const Entry& entry : kBackends)
    if (entry.name == name) return entry.make();
  return nullptr;
}

std::vector<std::string_view> backend_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kBackends) names.push_back(entry.name);
  return names;
}

}  // namespace amalgam::worker
