// SPDX-License-Identifier: Apache-2.0
// The macros that the device's own compiler predefines, as far as they are known.
//
// Three answers to "is this macro defined?": yes, with a value; no; nobody knows. Preprocessing on a guess would give
// kernels that the driver never saw, so the third makes the program run whole until somebody has asked the driver
// (core/split/macro_probe.h).
//
// Threads: plain values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/split/options.h"
#include "core/split/plan.h"

namespace amalgam::split {

class KnownMacros {
 public:
  KnownMacros(const DeviceTraits& traits, const Options& options);

  /// True if the device's compiler may define `name` and we cannot say; the program itself has not.
  bool is_unknown(std::string_view name) const;
  /// The version of OpenCL C that the program is compiled as, e.g. 120.
  uint32_t c_version() const { return c_version_; }
  /// `#define` lines of all that are defined.
  std::string text() const;

 private:
  std::map<std::string, std::optional<std::string>, std::less<>> values_;
  uint32_t c_version_ = 120;
};

}  // namespace amalgam::split
