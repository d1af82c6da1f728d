// SPDX-License-Identifier: Apache-2.0
// The Khronos numbers that the sim answers with, and its errors by them.
#pragma once

#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>

#include <string>

#include "base/error.h"
#include "south/device/device.h"

namespace amalgam::south::sim {

inline std::unexpected<Error> refuse(const char* what, int32_t native) { return fail(Code::kInvalidArgument, what, native); }
inline std::unexpected<Error> unsupported(const char* what) {
  return fail(Code::kUnsupported, std::string(what) + ": the sim has none", CL_INVALID_OPERATION);
}
inline std::unexpected<Error> lost() { return fail(Code::kDeviceLost, "sim: the device is lost", CL_DEVICE_NOT_AVAILABLE); }

/// A value as a query's answer.
template <typename T>
Bytes bytes_of(const T& value) {
  const auto* data = reinterpret_cast<const std::byte*>(&value);
  return Bytes(data, data + sizeof value);
}
/// A text with its zero byte.
inline Bytes bytes_of(const std::string& text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.c_str());
  return Bytes(data, data + text.size() + 1);
}

}  // namespace amalgam::south::sim
