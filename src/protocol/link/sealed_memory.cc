// SPDX-License-Identifier: Apache-2.0
#include "protocol/link/sealed_memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

namespace amalgam::protocol {

Result<uint64_t> sealed_bytes(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  struct statfs system{};
  struct stat info{};
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstatfs(fd, &system) != 0 || system.f_type != TMPFS_MAGIC ||
      ::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    return fail(Code::kProtocol, "a memory that is not anonymous, or not sealed against shrinking");
  return static_cast<uint64_t>(info.st_size);
}

}  // namespace amalgam::protocol
