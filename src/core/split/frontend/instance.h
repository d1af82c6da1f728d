// SPDX-License-Identifier: Apache-2.0
// A compiler instance for one pass. Only the files of the front end that talk to the compiler include this.
//
// Threads: an instance belongs to one thread.
#pragma once

#include <clang/Basic/Diagnostic.h>
#include <clang/Frontend/CompilerInstance.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/split/plan.h"

namespace amalgam::split {

/// What line numbers in the driver's messages refer to.
inline constexpr char kSourceName[] = "program.cl";

/// Keeps the first error, and the names that #if took for 0 because nothing defines them.
class Diagnostics : public clang::DiagnosticConsumer {
 public:
  void HandleDiagnostic(clang::DiagnosticsEngine::Level level, const clang::Diagnostic& diagnostic) override;

  std::string error;
  std::set<std::string> undefined;
};

/// An instance with the main file `source`, other files in memory, and further arguments of the compiler's own command line;
/// null if it refuses them (diagnostics->error says why). `diagnostics` must outlive it.
std::unique_ptr<clang::CompilerInstance> make_instance(const std::string& source, const std::vector<Header>& files,
                                                       std::vector<std::string> arguments, Diagnostics* diagnostics);

/// The front end's own prelude, opencl-c-base.h, as it was when this was built, under its name in the virtual folder.
Header prelude();

}  // namespace amalgam::split
