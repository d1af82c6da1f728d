// SPDX-License-Identifier: Apache-2.0
// Build options, as far as they decide what a program's source means.
//
// Threads: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace amalgam::split {

struct Options {
  std::vector<std::string> defines;  ///< in their order: "D" or "U", and what follows it: "DN=4", "UN"
  std::vector<std::string> folders;  ///< of -I, in their order
  std::string language;              ///< of -cl-std=, e.g. "CL2.0"; empty if it is not given
  bool fast_math = false;            ///< -cl-fast-relaxed-math
  /// What is left for the driver when the source is already preprocessed. Drivers' predefined macros depend on these alone.
  std::string rest;
  std::string unclear;  ///< an option that may change the source in a way that nobody knows here; empty if there is none
};

/// Splits build options at white space; double quotes and backslashes keep it.
Options read_options(std::string_view text);

/// `CL1.2` → 120; 0: no version of OpenCL C.
uint32_t version_of(std::string_view language);

}  // namespace amalgam::split
