// SPDX-License-Identifier: Apache-2.0
// Finds what drivers are installed: reads the .icd files, which name one shared library each.
//
// Folders: $AMALGAM_OPENCL_VENDORS (a colon-separated list), else $OCL_ICD_VENDORS if it is a folder or one .icd file,
// else /etc/OpenCL/vendors. Our own front door is left out, or the pool would be a device of itself.
//
// Threads: pure but for the environment and the disk.
#pragma once

#include <string>
#include <vector>

namespace amalgam::south::opencl {

/// Where .icd files are looked for now.
std::vector<std::string> vendor_folders();

/// The libraries that the .icd files name, by file name, each once. Nothing is opened.
std::vector<std::string> vendor_libraries(const std::vector<std::string>& folders);

}  // namespace amalgam::south::opencl
