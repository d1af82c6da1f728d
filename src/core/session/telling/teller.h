// SPDX-License-Identifier: Apache-2.0
// Teller: follows every command that the driver has, and tells the client of its end.
//
//   follow(flight) ─▶ driver ─ callback ─▶ counters, turn, output ─▶ EventDone, StreamRetired ─▶ outbox
//
// Order on the way out: what the kernel printed, then its EventDone, then StreamRetired; and each command after what it came
// after (flight.h). A stream's mutex is held while its completions are posted, so that a later one cannot overtake; the
// client is woken after it is free again.
//
// Threads: follow() and take() are the dispatcher's; ends come on the driver's threads; the rest any. Blocking: never.
// Lifetime: outlives every command that it follows; busy() says whether there is one.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "core/session/telling/flight.h"
#include "core/session/telling/outbox.h"
#include "core/session/telling/output_pipe.h"
#include "core/session/turns/device_time.h"

namespace amalgam::core {

class Teller {
 public:
  struct Parts {
    Outbox& outbox;
    OutputPipe& output;
    Turnstile& turnstile;
    DeviceTime& time;
    model::Counters& counters;
    Journal& journal;
    std::function<void()> wake;  ///< the client, from the driver's threads
  };
  explicit Teller(Parts parts) : parts_(std::move(parts)) {}

  /// An empty record.
  std::unique_ptr<Flight> take() { return pool_.take(); }
  void give_back(std::unique_ptr<Flight> flight) { pool_.give_back(std::move(flight)); }
  /// From now on until its event has ended, and that has been told.
  void follow(std::unique_ptr<Flight> flight, south::Event& event);
  /// Calls `visit` with every command that has not been told, in the order of the ring. The dispatcher takes none meanwhile.
  template <typename F>
  void each_open(F visit) {
    pool_.each_taken(visit);
  }
  /// Commands that have not been told.
  uint64_t in_flight() const { return in_flight_.load(std::memory_order_acquire); }

  /// A command that never got to the driver. Nothing waits for its number.
  void refused(StreamObject& stream, uint64_t number, protocol::ObjectId event, const south::Outcome& outcome);
  /// Tells when everything so far in the stream has ended; now, if it has.
  void ask_retired(StreamObject& stream, Progress::Asked by);

 private:
  void finish(Flight* flight, south::Outcome outcome);
  void note_end(Flight& flight, const south::Outcome& outcome);
  void tell(Flight* ended);
  void tell(std::unique_ptr<Flight> flight, std::vector<Flight*>& due);
  static bool waits_to_be_told(Flight& flight);
  void end_number(StreamObject& stream, uint64_t number, protocol::ObjectId event, const south::Outcome& outcome);

  const Parts parts_;
  FlightPool pool_;
  std::atomic<uint64_t> in_flight_{0};
};

}  // namespace amalgam::core
