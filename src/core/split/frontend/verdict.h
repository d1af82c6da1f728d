// SPDX-License-Identifier: Apache-2.0
// From facts to verdicts: which kernels can be cut, and how.
//
// Threads: pure functions.
#pragma once

#include <vector>

#include "core/split/frontend/facts.h"
#include "core/split/plan.h"

namespace amalgam::split {

struct Verdict {
  std::vector<KernelPlan> kernels;
  std::vector<bool> takes_piece;  ///< by function: it reaches a built-in that only a Piece can answer
  bool needs_variant = false;     ///< some kernel has How::kVariant
};

Verdict judge(const Facts& facts);

}  // namespace amalgam::split
