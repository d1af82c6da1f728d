// SPDX-License-Identifier: Apache-2.0
// Landlock by raw system calls: the C library has no wrappers, and headers are older than kernels.
//
// Threads: none of its own. enforce() binds the calling thread and those that it starts later.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace amalgam::worker {

class Landlock {
 public:
  enum class Allow : uint8_t {
    kRead,    ///< read and execute
    kWrite,   ///< everything but devices of one's own making
    kDevice,  ///< read, write and control
  };

  /// The kernel's version of it; 0: none.
  static int abi();
  /// A rule set that forbids everything that this ABI can.
  static Result<Landlock> forbid_all(int abi);
  /// Allows a folder (with all below) or a file. A path that is not there is no error.
  Result<void> allow(const std::string& path, Allow what);
  /// From here on.
  Result<void> enforce();

 private:
  Landlock(UniqueFd rules, uint64_t handled) : rules_(std::move(rules)), handled_(handled) {}
  UniqueFd rules_;
  uint64_t handled_;
};

}  // namespace amalgam::worker
