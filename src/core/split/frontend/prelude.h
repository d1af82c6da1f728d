// SPDX-License-Identifier: Apache-2.0
// The text of the compiler's own prelude for OpenCL C; the build makes the source file (CMakeLists.txt).
#pragma once

#include <string_view>

namespace amalgam::split {

std::string_view prelude_text();

}  // namespace amalgam::split
