// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/complain.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "north/client/output.h"
#include "protocol/control/channel.h"

namespace amalgam::opencl {

void complain(std::string_view reason) {
  static std::atomic<bool> complained = false;
  if (protocol::named_socket_path().empty() && ::getenv("AMALGAM_SLICE") == nullptr) return;
  if (complained.exchange(true)) return;
  client::write_output(STDERR_FILENO, "amalgam: no device of the pool: " + std::string(reason) + "\n");
}

}  // namespace amalgam::opencl
