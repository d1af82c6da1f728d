// SPDX-License-Identifier: Apache-2.0
// Session::Ticket: one enqueue on its way from the ring to the driver. Included by session's own sources.
#pragma once

#include "core/session/execute.h"

namespace amalgam::core {

struct Session::Ticket {
  StreamObject* stream = nullptr;
  uint64_t number = 0;
  south::Waits waits;              ///< resolved, in the session's scratch
  std::unique_ptr<Flight> flight;  ///< collects what the command uses
  bool is_gate = false;

  void hold(Object* object) { flight->held.emplace_back(object); }
};

}  // namespace amalgam::core
