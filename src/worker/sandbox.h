// SPDX-License-Identifier: Apache-2.0
// Sandbox: what a worker gives up, because the kernels that it runs are a tenant's machine code.
//
// fence_files: Landlock. Reads and executes from system folders and the driver's own, writes to one cache folder and to
// devices, nothing else; signals and abstract sockets stay inside; no TCP. fence_calls: seccomp. What no driver needs is
// refused with EPERM. docs/decisions/0006-what-a-worker-may-do.md says why.
//
// Threads: fence_files binds the calling thread and those that it starts later: call it from main before the driver.
// fence_calls binds every thread of the process.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "model/device.h"

namespace amalgam::worker {

/// What is in force.
struct SandboxReport {
  int landlock_abi = 0;  ///< 0: the kernel has none
  bool seccomp = false;
  /// "seccomp, landlock abi 6"
  std::string text() const;
};

/// Also points the drivers' caches and TMPDIR at the folder that stays writable. A kernel without Landlock is no error.
/// `library`: one more file that may be read; empty: none.
Result<void> fence_files(const std::vector<model::Device>& devices, const std::string& library, SandboxReport& report);
Result<void> fence_calls(SandboxReport& report);

}  // namespace amalgam::worker
