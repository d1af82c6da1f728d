// SPDX-License-Identifier: Apache-2.0
// Runs a kernel whole and in pieces, as its plan says, and compares every byte.
//
// Threads: one.
#pragma once

#include <span>
#include <string>

#include "core/split/options.h"
#include "core/split/planner.h"
#include "driver.h"

namespace amalgam::split_tests {

struct Outcome {
  split::KernelPlan plan;
  std::string difference;  ///< empty if whole and pieces gave the same bytes
};

/// Plans kernel k of the source, probing what the plan asks for; runs it whole over each range, and in pieces of 1 and of 3
/// groups unless it must run whole.
Outcome compare(Driver& driver, const split::Planner& planner, const std::string& source, const std::string& options,
                std::span<const split::Range> ranges);

}  // namespace amalgam::split_tests
