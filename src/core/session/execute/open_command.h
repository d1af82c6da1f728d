// SPDX-License-Identifier: Apache-2.0
// Executor::OpenCommand: a command that has not been told. Included by session's own sources.
#pragma once

#include <chrono>

#include "core/session/execute/dispatch.h"

namespace amalgam::core {

/// How often one looks whether everything has ended.
inline constexpr auto kLook = std::chrono::microseconds(50);

/// In the order of the ring.
struct Executor::OpenCommand {
  protocol::CommandType type;
  protocol::ObjectId stream = 0, event = 0;
  uint64_t number = 0;
  uint64_t kept = 0, kept_bytes = 0;
  bool in_order = true;
  bool gate_is_told = false;
  bool is_held_up = false;
  std::vector<std::byte> frame;
};

}  // namespace amalgam::core
