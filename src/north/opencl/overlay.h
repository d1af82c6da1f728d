// SPDX-License-Identifier: Apache-2.0
// The overlay: turns what a driver says of its device into what a program may believe of its slice of it.
//
// Done once per device, on the property list itself, so that every later look (clGetDeviceInfo, limits of buffers and
// launches) agrees. Memory follows the slice's quota; extensions and features that the front door does not carry are not
// claimed; everything else stays word for word.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "protocol/control/control.h"

namespace amalgam::opencl {

/// Overlays the entry's OpenCL properties in place, whatever they are.
void overlay(protocol::DeviceEntry& entry);

/// True if the front door carries this extension whenever a device has it.
bool carries_extension(std::string_view name);

/// The names of a blank-separated list that `keep` likes, in their order.
template <typename Keep>
std::string filter_names(std::string_view list, Keep keep) {
  std::string kept;
  while (!list.empty()) {
    size_t end = list.find(' ');
    std::string_view name = list.substr(0, end);
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
    if (name.empty() || !keep(name)) continue;
    if (!kept.empty()) kept += ' ';
    kept += name;
  }
  return kept;
}

}  // namespace amalgam::opencl
