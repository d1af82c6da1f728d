// SPDX-License-Identifier: Apache-2.0
// Child: runs a program as if the shell had, and ends as it ended.
//
// The program stays in our process group, so the terminal treats both alike: Ctrl-C and Ctrl-Z reach it by themselves.
// Signals that somebody sends to us alone (kill) are passed on.
//
// Threads: call from a process without other threads. Blocking: until the program has ended.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace amalgam::cli {

inline constexpr int kOwnFailure = 125;  ///< as env(1): we failed, the program did not start
inline constexpr int kCannotExecute = 126;
inline constexpr int kNoSuchProgram = 127;

/// A change to the environment.
struct Setting {
  std::string name;
  std::string value;
  bool remove = false;
};

struct Ended {
  int status = 0;       ///< what to exit with: the program's own, or 128 + signal
  std::string problem;  ///< why it did not start; empty if it did
};

/// What the process does before it becomes the program. If it fails, the program does not start.
using Preparation = std::function<Result<void>()>;

/// Runs argv[0], sought in PATH, with the changed environment. The error is that of the preparation, or ours.
Result<Ended> run_child(const std::vector<std::string>& argv, const std::vector<Setting>& settings,
                        const Preparation& prepare = nullptr);

}  // namespace amalgam::cli
