// SPDX-License-Identifier: Apache-2.0
// Places: where the parts of an installation lie, seen from the running `amalgam`.
//
// Everything is found from /proc/self/exe, so a tree can be installed under any prefix, moved, or used from the build
// folder:
//
//     installed   PREFIX/bin/amalgam   PREFIX/sbin/amalgamd   PREFIX/lib/libamalgam_opencl.so PREFIX/share/amalgam/vendors/
//                 PREFIX/libexec/amalgam/amalgam-sim
//     build       src/north/cli/amalgam  src/daemon/amalgamd  src/north/opencl/libamalgam_opencl.so   vendors/
//                 tools/sim/amalgam-sim
//
// Threads: pure but for the file system.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"

namespace amalgam::cli {

struct Places {
  std::filesystem::path daemon;   ///< amalgamd
  std::filesystem::path opencl;   ///< libamalgam_opencl.so
  std::filesystem::path vendors;  ///< folder whose only .icd file names `opencl`

  /// Looks from the folder of this executable. kNotFound names what is missing and where it was sought; `runtime` is where a
  /// vendors folder is written if the installed one does not fit (the tree was moved).
  static Result<Places> find(const std::filesystem::path& exe_folder, const std::filesystem::path& runtime);
  /// amalgamd alone: a slice can be made without the front door.
  static Result<std::filesystem::path> find_daemon(const std::filesystem::path& exe_folder);
  /// amalgam-sim, which replays traces.
  static Result<std::filesystem::path> find_sim(const std::filesystem::path& exe_folder);
};

/// The folder of this executable.
Result<std::filesystem::path> own_folder();

/// Makes `folder` (0700) if it is not there. kPermissionDenied if it belongs to somebody else or others may write to it.
Result<void> make_private_folder(const std::filesystem::path& folder);

/// $XDG_STATE_HOME/amalgam, else ~/.local/state/amalgam where there is a home, else the folder of the user's socket.
std::filesystem::path state_folder();

}  // namespace amalgam::cli
