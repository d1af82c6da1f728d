// SPDX-License-Identifier: Apache-2.0
// How a session begins on the waist. Its end is a message of nobody: the rings are closed.
//
// Threads: plain values.
#pragma once

#include <cstdint>

#include "protocol/waist/frame.h"

namespace amalgam::protocol {

/// First command of a session. The client has reserved the heap's whole range at `heap_base` and asks the worker to map the
/// heap at the same address, so that a region has one address on both sides. Reply payload: HelloReply.
struct Hello {
  static constexpr CommandType kType = CommandType::kHello;
  uint32_t version = kWireVersion;
  uint64_t heap_base = 0;
  template <typename A>
  void fields(A& a) {
    a(version, heap_base);
  }
};
struct HelloReply {
  bool same_address = false;  ///< false: the range is taken in the worker; try another base with a further Hello
  template <typename A>
  void fields(A& a) {
    a(same_address);
  }
};

}  // namespace amalgam::protocol
