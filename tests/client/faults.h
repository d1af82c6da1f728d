// SPDX-License-Identifier: Apache-2.0
// Faults: legal programs on the real client library, against honest workers that are slow, stopped or killed.
//
// One schedule is a session with its worker, one or two programs on it, and a hand that does to the worker what the seed
// says. Schedules of one process follow each other; what a schedule leaves behind is deleted when the next has begun.
//
// Threads: one. One a process: the front door is. Make it before there are threads.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "north/client/session.h"
#include "tests/client/crew.h"
#include "tests/client/liar.h"

namespace amalgam::liar {

/// What happens to the worker.
enum class Fault : uint8_t { kNone, kSlow, kStopped, kKilled };
const char* name_of(Fault fault);

class Faults {
 public:
  Faults();
  ~Faults();
  /// One schedule. What was not as on the bare driver; empty if nothing.
  std::string play(Fault fault, uint64_t seed);

 private:
  void sabotage(Fault fault, uint64_t seed);
  Hand* hand();

  Crew crew_;
  std::mutex mutex_;
  std::unique_ptr<Hand> hand_;  ///< under the mutex; the last one hired
  uint64_t seed_ = 0;
  std::atomic<bool> killed_ = false, over_ = false;
  client::Session* before_ = nullptr;
  Liar pool_;  ///< its thread uses all above
};

}  // namespace amalgam::liar
