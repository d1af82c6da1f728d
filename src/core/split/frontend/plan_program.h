// SPDX-License-Identifier: Apache-2.0
// Everything that the front end does with one program, from its source to a plan.
//
// Threads: any number of calls at once. Needs a deep stack (kSplitStackBytes): programs decide how deep the parser goes.
#pragma once

#include "core/split/plan.h"

namespace amalgam::split {

SplitPlan plan_program(const ProgramText& program, const DeviceTraits& traits);

}  // namespace amalgam::split
