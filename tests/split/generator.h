// SPDX-License-Identifier: Apache-2.0
// Random legal kernels that use whatever splitting must get right, from a seed.
//
// Each program is free of data races and of anything whose value the specification leaves open, so whole and pieces must
// agree on every byte.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "core/split/cut.h"

namespace amalgam::split_tests {

struct Program {
  std::string source;  ///< with a kernel k(global ulong* out, uint seed, local ulong* scratch)
  std::string options;
  split::Range range;
};

Program generate(uint64_t seed);

}  // namespace amalgam::split_tests
