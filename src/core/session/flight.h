// SPDX-License-Identifier: Apache-2.0
// Flight: the record of one command that the driver has not finished, and the pool that such records come from.
//
// It keeps alive what the command uses: the stream, and every region, sampler … that it names, with their heap ranges. The
// pool keeps finished records, so that a launch allocates none.
//
// Threads: the pool locks; a record belongs to the dispatcher until its event has a callback, then to that callback.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/session/cut_launch.h"

namespace amalgam::core {

class Session;

struct Flight {
  Session* session = nullptr;
  Ref<StreamObject> stream;
  uint64_t number = 0;
  protocol::ObjectId event = 0;
  bool prints = false;
  bool in_turn = false;        ///< has passed the turnstile and must leave it
  CutPtr cut;                  ///< it runs in pieces, and this knows its times
  BacklogPtr behind;           ///< it passes the turnstile when that is released
  std::shared_ptr<Pace> pace;  ///< learns from it
  uint64_t groups = 0;         ///< then: its size
  south::EventPtr gate;        ///< a gate's event, which has nobody else once the client has released it
  std::vector<Ref<Object>> held;
};

class FlightPool {
 public:
  std::unique_ptr<Flight> take() {
    std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Flight>();
    auto flight = std::move(free_.back());
    free_.pop_back();
    return flight;
  }
  void give_back(std::unique_ptr<Flight> flight) {
    flight->held.clear();
    flight->stream = {};
    flight->gate = nullptr;
    flight->cut = nullptr;
    flight->behind = nullptr;
    flight->pace = nullptr;
    flight->prints = false;
    flight->in_turn = false;
    flight->event = 0;
    std::lock_guard lock(mutex_);
    if (free_.size() < kKept) free_.push_back(std::move(flight));
  }

 private:
  static constexpr size_t kKept = 4096;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Flight>> free_;
};

}  // namespace amalgam::core
