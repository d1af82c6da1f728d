// SPDX-License-Identifier: Apache-2.0
// TermsOptions: --share, --cap, --priority, --slo and --memory, the same for every verb that takes them.
//
// Threads: plain values.
#pragma once

#include <string>

#include "base/error.h"
#include "model/terms.h"
#include "north/cli/command_line.h"

namespace amalgam::cli {

/// As the user wrote them; empty: not given.
struct TermsOptions {
  std::string share, cap, priority, slo, memory;
};

/// Adds the options; `options` outlives the command line.
void add_terms_options(const Verb& verb, TermsOptions& options);
/// What is given and nothing else. The error names the option, what was written, and what would be right; whether a cap
/// fits to a share is checked too if both are given.
Result<model::TermsPatch> read_terms(const TermsOptions& options);

}  // namespace amalgam::cli
