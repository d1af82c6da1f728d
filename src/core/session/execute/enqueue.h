// SPDX-License-Identifier: Apache-2.0
// Executor::Ticket: one enqueue on its way from the ring to the driver. Included by session's own sources.
#pragma once

#include "core/session/execute/dispatch.h"

namespace amalgam::core {

/// Every region that a command may write.
inline void note_written(const Flight& flight) {
  for (const Ref<Object>& held : flight.held) {
    if (held->kind != Kind::kRegion) continue;
    auto& region = static_cast<RegionObject&>(*held);
    if (!region.is_read_only) whole_of(region).is_written = true;
  }
}

struct Executor::Ticket {
  StreamObject* stream = nullptr;
  uint64_t number = 0;
  south::Waits waits;              ///< resolved, in the session's scratch
  std::unique_ptr<Flight> flight;  ///< collects what the command uses
  BacklogPtr behind;               ///< a cut launch that it comes after
  Cutting cutting;
  bool works = false;      ///< keeps the device busy by itself
  bool is_logged = false;  ///< whoever comes after this worker knows of it
  bool is_gate = false;
  bool is_marker = false;   ///< out of order: a marker or a barrier
  bool is_barrier = false;  ///< then: what follows comes after it

  void hold(Object* object) { flight->held.emplace_back(object); }
};

/// What of the heap an end of a box covers.
struct Executor::HeapBox {
  uint64_t begin = 0, bytes = 0;
};

}  // namespace amalgam::core
