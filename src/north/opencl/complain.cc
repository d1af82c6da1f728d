// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/complain.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "north/client/output.h"

namespace amalgam::opencl {

void complain(std::string_view reason) {
  static std::atomic<bool> complained = false;
  if (::getenv("AMALGAM_SOCKET") == nullptr && ::getenv("AMALGAM_SLICE") == nullptr) return;
  if (complained.exchange(true)) return;
  client::write_output(STDERR_FILENO, "amalgam: no device of the pool: " + std::string(reason) + "\n");
}

}  // namespace amalgam::opencl
