// SPDX-License-Identifier: Apache-2.0
#include "core/session/telling/teller.h"

#include <algorithm>
#include <cstring>

#include "protocol/link/ring.h"

namespace amalgam::core {

void Teller::follow(std::unique_ptr<Flight> flight, south::Event& event) {
  flight->teller = this;
  in_flight_.fetch_add(1, std::memory_order_relaxed);
  parts_.counters.in_flight_now.fetch_add(1, std::memory_order_relaxed);
  event.on_complete([raw = flight.release()](const south::Outcome& outcome) { raw->teller->finish(raw, outcome); });
}

void Teller::finish(Flight* raw, south::Outcome outcome) {
  std::unique_ptr<Flight> flight(raw);
  model::Counters& counters = parts_.counters;
  uint32_t device = flight->stream->device->index;
  if (flight->in_turn) parts_.turnstile.leave(device);
  if (flight->behind != nullptr) {
    std::lock_guard lock(flight->behind->mutex);
    if (flight->behind->released)
      parts_.turnstile.leave(device);
    else
      --flight->behind->count;  // it has failed before it could run
  }
  if (flight->cut != nullptr) {
    if (outcome.status >= 0) outcome.times = flight->cut->times;  // its pieces' time is counted
  } else if (uint64_t ran_ns = parts_.time.count(device, outcome); flight->pace != nullptr) {
    flight->pace->learn(flight->groups, ran_ns);
  }
  if (flight->taken_ns != 0 && device < model::kMaxSessionDevices) {
    uint64_t took_ns = protocol::monotonic_ns() - flight->taken_ns;
    counters.latencies[device][model::latency_bucket(took_ns)].fetch_add(1, std::memory_order_relaxed);
  }
  if (outcome.status < 0) counters.errors.fetch_add(1, std::memory_order_relaxed);
  counters.in_flight_now.fetch_sub(1, std::memory_order_relaxed);
  if (flight->prints) parts_.output.drain();
  if (flight->notes_its_end) note_end(*flight, outcome);
  flight->held.clear();  // before the client hears of it: what it releases then is really unused
  flight->outcome = outcome;
  tell(flight.release());
  parts_.wake();
}

/// From now on its bytes in the heap are the program's again.
void Teller::note_end(Flight& flight, const south::Outcome& outcome) {
  if (const size_t bytes = flight.keep_bytes.exchange(0); bytes != 0) std::memcpy(flight.keep_at, flight.keep_from, bytes);
  parts_.journal.done({flight.stream->id, flight.number, false, outcome.status, outcome.times});
}

/// Posts the end of a command, and of those that waited for this one to be told.
void Teller::tell(Flight* ended) {
  std::vector<Flight*> due;
  tell(std::unique_ptr<Flight>(ended), due);
  while (!due.empty()) {
    std::unique_ptr<Flight> flight(due.back());
    due.pop_back();
    tell(std::move(flight), due);
  }
}

/// The same of one, or leaves it to what it waits for. `due` gains those that waited for it.
void Teller::tell(std::unique_ptr<Flight> flight, std::vector<Flight*>& due) {
  bool failed = flight->outcome.status < 0;  // a failure has not waited for anything
  if (!failed && waits_to_be_told(*flight)) {
    (void)flight.release();
    return;
  }
  StreamObject& stream = *flight->stream;
  auto later = [](const Flight* a, const Flight* b) { return a->after > b->after; };
  {
    std::lock_guard lock(stream.mutex);
    std::vector<Flight*>& untold = stream.untold;
    if (!failed && stream.progress.retired() < flight->after) {
      untold.push_back(flight.release());
      std::push_heap(untold.begin(), untold.end(), later);
      return;
    }
    end_number(stream, flight->number, flight->event, flight->outcome);
    while (!untold.empty() && untold.front()->after <= stream.progress.retired()) {
      std::pop_heap(untold.begin(), untold.end(), later);
      due.push_back(untold.back());
      untold.pop_back();
    }
  }
  if (flight->report != nullptr) {
    std::lock_guard lock(flight->report->mutex);
    flight->report->told = true;
    due.insert(due.end(), flight->report->followers.begin(), flight->report->followers.end());
    flight->report->followers.clear();
  }
  pool_.give_back(std::move(flight));
  in_flight_.fetch_sub(1, std::memory_order_release);  // last: the destructor waits for it
}

/// True if it now hangs on a command that it came after and that has not been told.
bool Teller::waits_to_be_told(Flight& flight) {
  while (!flight.predecessors.empty()) {
    EndReportPtr report = std::move(flight.predecessors.back());
    flight.predecessors.pop_back();
    std::lock_guard lock(report->mutex);
    if (report->told) continue;
    report->followers.push_back(&flight);
    return true;
  }
  return false;
}

/// The caller holds the stream's mutex.
void Teller::end_number(StreamObject& stream, uint64_t number, protocol::ObjectId event, const south::Outcome& outcome) {
  Progress::Asked asked = stream.progress.finish(number);
  uint64_t retired = stream.progress.retired();
  if (event != 0) {
    // In-order streams: a number says that everything up to it has ended. A command that failed early cannot say that.
    bool reached = !stream.in_order || retired >= number;
    parts_.outbox.post(protocol::EventDone{event, outcome.status, stream.id, reached ? number : 0, outcome.times});
    if (stream.in_order && reached && number > stream.told) stream.told = number;
  }
  bool tell = asked == Progress::Asked::kNotify || (asked == Progress::Asked::kBatch && stream.told < retired);
  if (!tell) return;
  parts_.outbox.post(protocol::StreamRetired{stream.id, retired});
  stream.told = retired;
}

void Teller::ask_retired(StreamObject& stream, Progress::Asked by) {
  std::lock_guard lock(stream.mutex);
  if (!stream.progress.ask(by)) return;
  uint64_t retired = stream.progress.retired();
  if (by == Progress::Asked::kBatch && stream.told >= retired) return;
  parts_.outbox.post(protocol::StreamRetired{stream.id, retired});
  stream.told = retired;
  parts_.outbox.wake();
}

void Teller::refused(StreamObject& stream, uint64_t number, protocol::ObjectId event, const south::Outcome& outcome) {
  std::lock_guard lock(stream.mutex);
  end_number(stream, number, event, outcome);
}

}  // namespace amalgam::core
