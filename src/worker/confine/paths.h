// SPDX-License-Identifier: Apache-2.0
// Which parts of the file system a worker may see: what drivers and their compilers need of the system, what the daemon
// names, one cache folder. The mount name space and Landlock are both made from this one list.
//
// Threads: pure functions of the environment and the file system. Blocking: local file system calls.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "protocol/control/control.h"

namespace amalgam::worker {

struct VisiblePaths {
  std::vector<std::string> readable;  ///< and executable; each is there
  std::vector<std::string> devices;   ///< nodes, or folders of them; each is there
  std::string cache;                  ///< the one folder that may be written
};

/// `program`: paths of our own that are opened later. The cache folder is made if it is not there; kPermissionDenied if it
/// is somebody else's. Points the drivers' caches and TMPDIR at it.
Result<VisiblePaths> visible_paths(const protocol::Confine& order, const std::vector<std::string>& program);

}  // namespace amalgam::worker
