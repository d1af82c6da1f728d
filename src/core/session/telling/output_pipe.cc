// SPDX-License-Identifier: Apache-2.0
#include "core/session/telling/output_pipe.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace amalgam::core {

bool OutputPipe::drain() {
  if (fd_ < 0) return false;
  std::lock_guard lock(mutex_);
  // What was in the pipe at the call is at most its capacity; a printer that goes on printing does not keep us here.
  size_t total = 0;
  while (total < kPieceBytes) {
    ssize_t n = ::read(fd_, piece_, sizeof piece_);
    if (n <= 0) break;
    total += static_cast<size_t>(n);
    const size_t known = std::min<uint64_t>(skip_, static_cast<uint64_t>(n)), fresh = static_cast<size_t>(n) - known;
    skip_ -= known;
    if (fresh != 0) outbox_.post(protocol::Output{1, {piece_ + known, fresh}}, 0, fresh);
  }
  return total != 0;
}

}  // namespace amalgam::core
