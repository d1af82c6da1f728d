// SPDX-License-Identifier: Apache-2.0
// A driver's error codes as ours: the name for people, the Code for the caller, the number itself in Error::native.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace amalgam::south::opencl {

/// "CL_INVALID_BUFFER_SIZE"; "CL error" for numbers that no header names.
std::string_view error_name(int32_t code);

/// The error of driver call `call`: "clCreateBuffer: CL_INVALID_BUFFER_SIZE".
Error driver_error(std::string_view call, int32_t code);

/// kUnsupported: this driver has no such entry; native is CL_INVALID_OPERATION.
Error missing_entry(std::string_view call);

}  // namespace amalgam::south::opencl
