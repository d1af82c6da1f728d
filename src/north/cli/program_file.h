// SPDX-License-Identifier: Apache-2.0
// Program file: what can be said of a program before it is run.
//
// Threads: pure but for the file system.
#pragma once

#include <filesystem>
#include <string>

namespace amalgam::cli {

/// The file that execvp() would take; empty if there is none.
std::filesystem::path find_program(const std::string& name);

/// Why a program, or the interpreter of a script, cannot load our front door, which is as wide as this program: it is of
/// another width. Empty if it is not, or if nobody can tell.
std::string why_blind(const std::filesystem::path& program);

}  // namespace amalgam::cli
