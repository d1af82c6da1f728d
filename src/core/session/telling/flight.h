// SPDX-License-Identifier: Apache-2.0
// Flight: the record of one command that the driver has not finished, and the pool that such records come from.
//
// It keeps alive what the command uses: the stream, and every region, sampler … that it names, with their heap ranges. The
// pool keeps finished records, so that a launch allocates none.
//
// The client may hear of an end only after the ends of everything that the command came after: who has waited for a marker
// finds the commands before it complete. Drivers call back on several threads and in no order, so a flight that has ended
// early waits to be *told*: in its stream's list until the numbers before it are retired, in the EndReport of a command that
// it waited for until that is told. It is in one of these lists at a time.
//
// Threads: the pool and reports lock; a record belongs to the dispatcher until its event has a callback, then to that
// callback or to the list that it waits in.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "core/session/cutting/cut_launch.h"

namespace amalgam::core {

class Teller;
struct Flight;

/// Whether the client has been told of a command's end, and who waits for that.
struct EndReport {
  std::mutex mutex;
  bool told = false;
  std::vector<Flight*> followers;
};
using EndReportPtr = std::shared_ptr<EndReport>;

/// How far a gate has come.
struct GateReport {
  std::atomic<bool> reached{false};  ///< everything before it has ended
  std::atomic<bool> told{false};     ///< the client has heard of that
};
using GateReportPtr = std::shared_ptr<GateReport>;

struct Flight {
  Teller* teller = nullptr;
  Ref<StreamObject> stream;
  uint64_t number = 0;
  protocol::ObjectId event = 0;
  bool prints = false;
  bool in_turn = false;        ///< has passed the turnstile and must leave it
  CutPtr cut;                  ///< it runs in pieces, and this knows its times
  BacklogPtr behind;           ///< it passes the turnstile when that is released
  std::shared_ptr<Pace> pace;  ///< learns from it
  uint64_t groups = 0;         ///< then: its size
  uint64_t taken_ns = 0;       ///< of a launch: when it was taken up
  south::EventPtr gate;        ///< a gate's event, which has nobody else once the client has released it
  std::vector<Ref<Object>> held;

  uint16_t type = 0;             ///< what it is, as it came: it may have to be said to another worker
  std::vector<std::byte> frame;  ///< likewise
  GateReportPtr gate_report;     ///< a gate's

  bool notes_its_end = false;                 ///< in the journal, before anybody is told
  const std::byte* keep_from = nullptr;       ///< then: what the program may overwrite once it has been told …
  std::byte* keep_at = nullptr;               ///< … and where it is kept
  mutable std::atomic<size_t> keep_bytes{0};  ///< whoever takes them to 0 copies them, or nobody does
  uint64_t kept = 0, kept_bytes = 0;          ///< where that is in the heap, also of one that has been copied

  uint64_t after = 0;                      ///< told when the stream has retired this number
  std::vector<EndReportPtr> predecessors;  ///< and these have been told
  EndReportPtr report;                     ///< its own; null where nothing can wait for it
  south::Outcome outcome;                  ///< once it has ended

  Flight* previous = nullptr;  ///< of those that were taken and not given back, in the order of the ring; the pool's
  Flight* next = nullptr;
};

class FlightPool {
 public:
  std::unique_ptr<Flight> take() {
    std::lock_guard lock(mutex_);
    std::unique_ptr<Flight> flight;
    if (free_.empty()) {
      flight = std::make_unique<Flight>();
    } else {
      flight = std::move(free_.back());
      free_.pop_back();
    }
    flight->previous = last_;
    (last_ != nullptr ? last_->next : first_) = flight.get();
    last_ = flight.get();
    return flight;
  }
  /// Calls `visit` with what was taken and not given back, in order. It may look at what does not change until then.
  template <typename F>
  void each_taken(F visit) {
    std::lock_guard lock(mutex_);
    for (const Flight* flight = first_; flight != nullptr; flight = flight->next) visit(*flight);
  }
  void give_back(std::unique_ptr<Flight> flight) {
    unlink(*flight);  // first: who visits it looks at what is cleared now
    flight->held.clear();
    flight->stream = {};
    flight->gate = nullptr;
    flight->cut = nullptr;
    flight->behind = nullptr;
    flight->pace = nullptr;
    flight->prints = false;
    flight->in_turn = false;
    flight->taken_ns = 0;
    flight->event = 0;
    flight->after = 0;
    flight->predecessors.clear();
    flight->report = nullptr;
    flight->gate_report = nullptr;
    flight->notes_its_end = false;
    flight->keep_bytes = 0;
    flight->kept = flight->kept_bytes = 0;
    flight->frame.clear();
    std::lock_guard lock(mutex_);
    if (free_.size() < kKept) free_.push_back(std::move(flight));
  }

 private:
  static constexpr size_t kKept = 4096;
  void unlink(Flight& flight) {
    std::lock_guard lock(mutex_);
    (flight.previous != nullptr ? flight.previous->next : first_) = flight.next;
    (flight.next != nullptr ? flight.next->previous : last_) = flight.previous;
    flight.previous = flight.next = nullptr;
  }
  std::mutex mutex_;
  std::vector<std::unique_ptr<Flight>> free_;
  Flight* first_ = nullptr;
  Flight* last_ = nullptr;
};

}  // namespace amalgam::core
