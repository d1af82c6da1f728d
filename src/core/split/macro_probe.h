// SPDX-License-Identifier: Apache-2.0
// What a device's own compiler predefines, asked from that compiler: a small program whose kernel writes the macros' values
// down.
//
// The specification fixes some macros, drivers add others (and get the fixed ones wrong), and no query lists them. So
// whoever has the device builds `probe_source(names)` with the program's own options, runs its kernel once, and hands the
// bytes to `read_probe`, whose answer goes into DeviceTraits::macros.
//
//     plan() ─▶ unknown_macros ─▶ probe_source ─▶ [build, run 1 work-item, read kProbeBytes] ─▶ read_probe ─▶ plan() again
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "core/split/plan.h"

namespace amalgam::split {

/// The probe's kernel: `kernel void amalgam_probe(global uchar* out)`, one work-item, writes at most probe_bytes(names)
/// bytes.
inline constexpr char kProbeKernel[] = "amalgam_probe";

/// What DeviceTraits::macros of a device should hold before the first plan: those that the specification fixes.
std::span<const std::string> standard_macros();

/// A program that tells whether and as what `names` are defined. kInvalidArgument: one of them is no identifier; kLimit:
/// more than kMaxProbeMacros.
Result<std::string> probe_source(std::span<const std::string> names);

/// The size of the buffer that the probe's kernel writes.
size_t probe_bytes(std::span<const std::string> names);

/// What the kernel wrote. kDriver: that is not what the probe writes. A value longer than kMaxMacroBytes cannot be told: the
/// macro is left out, and stays unknown.
Result<std::vector<Macro>> read_probe(std::span<const std::string> names, std::span<const std::byte> bytes);

}  // namespace amalgam::split
