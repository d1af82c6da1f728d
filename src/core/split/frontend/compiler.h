// SPDX-License-Identifier: Apache-2.0
// The two passes of the compiler front end over a program. This header and its users need no header of the compiler.
//
//     source ──preprocess──▶ text with no directive but #line and #pragma ──parse──▶ Facts
//
// The first pass gives what the driver's own preprocessor would: it knows the driver's macros alone, none of the front end's
// own. Names that drivers declare in their prelude as macros with values of their own (CLK_LOCAL_MEM_FENCE, M_PI, as_float)
// are kept as names, so that the driver gives them its own meaning when it compiles the variant. The second pass knows the
// front end's whole prelude.
//
// Threads: any number of calls at once; each makes everything that it needs. No file is written; files are read where the
// program's -I says, as the driver would.
#pragma once

#include <string>
#include <vector>

#include "core/split/frontend/facts.h"
#include "core/split/frontend/macros.h"
#include "core/split/options.h"
#include "core/split/plan.h"

namespace amalgam::split {

struct Preprocessed {
  std::string text;
  std::vector<std::string> unknown_macros;  ///< asked for by the source, sorted
  std::string opaque;                       ///< a name of which only the driver knows the meaning, e.g. __FILE__
  std::string error;                        ///< the first error, with its line; empty if there is none
};

Preprocessed preprocess(const ProgramText& program, const DeviceTraits& traits, const Options& options,
                        const KnownMacros& macros);

/// Facts about preprocessed text; Facts::error if it cannot be parsed.
Facts parse(const std::string& text, const DeviceTraits& traits, const KnownMacros& macros);

}  // namespace amalgam::split
