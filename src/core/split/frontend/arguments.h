// SPDX-License-Identifier: Apache-2.0
// The compiler's command lines for the two passes.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "core/split/frontend/macros.h"
#include "core/split/options.h"
#include "core/split/plan.h"

namespace amalgam::split {

/// Where the files that exist only in memory lie. No file on disk is hidden by it.
inline constexpr char kVirtualFolder[] = "/amalgam-split";

/// First pass: none of the compiler's own macros; `predefined` is a file in memory that has the device's.
std::vector<std::string> preprocess_arguments(const DeviceTraits& traits, const Options& options, const KnownMacros& macros,
                                              const std::string& predefined);

/// Second pass, over preprocessed text: the device's language version and extensions, the compiler's prelude.
std::vector<std::string> parse_arguments(const DeviceTraits& traits, const KnownMacros& macros);

}  // namespace amalgam::split
