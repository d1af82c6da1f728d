// SPDX-License-Identifier: Apache-2.0
#include "north/client/gates.h"

namespace amalgam::client {

Gates::Entry* Gates::find(protocol::ObjectId id, State state) {
  auto found = table_.find(id);
  return found == table_.end() || found->second.state != state ? nullptr : &found->second;
}

/// The event is not gated any more: from here on whoever ends it may.
Gate Gates::take(Table::iterator entry) {
  Event& event = *entry->second.gate.event_;
  event.gated_.store(false);
  order_.drop_gate(event.place_);
  drop_source();
  return std::move(table_.extract(entry).mapped().gate);
}

bool Gates::add(Event& event, Gate::Work work) {
  Gate gate(event, std::move(work));
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  event.gated_.store(true);
  sources_.fetch_add(1);
  order_.add_gate(event.place_);
  table_.emplace(event.id(), Entry{std::move(gate)});
  return true;
}

Gate::Work* Gates::begin(protocol::ObjectId id) {
  std::lock_guard lock(mutex_);
  Entry* entry = find(id, State::kReady);
  if (entry == nullptr) return nullptr;
  entry->state = State::kRuns;
  running_.fetch_add(1, std::memory_order_acq_rel);
  return &entry->gate.work_;  // stays where it is: nobody takes out what runs
}

Gate Gates::end(protocol::ObjectId id) {
  std::lock_guard lock(mutex_);
  if (find(id, State::kRuns) == nullptr) return {};
  running_.fetch_sub(1, std::memory_order_acq_rel);
  return take(table_.find(id));
}

Gate Gates::take_waiting(protocol::ObjectId id) {
  std::lock_guard lock(mutex_);
  if (find(id, State::kWaits) == nullptr) return {};
  return take(table_.find(id));
}

std::vector<Gate> Gates::close() {
  std::vector<Gate> gone;
  std::lock_guard lock(mutex_);
  closed_ = true;
  for (auto entry = table_.begin(); entry != table_.end();) {
    auto next = std::next(entry);
    if (entry->second.state != State::kRuns) gone.push_back(take(entry));
    entry = next;
  }
  return gone;
}

void Gates::add_user() {
  std::lock_guard lock(mutex_);
  users_.fetch_add(1);
  sources_.fetch_add(1);
}

void Gates::end_user() {
  std::lock_guard lock(mutex_);
  users_.fetch_sub(1);
  drop_source();
}

void Gates::drop_source() {
  if (sources_.fetch_sub(1) == 1) order_.forget();
}

void Gates::note(const Place& place, std::span<const protocol::ObjectId> waits, protocol::ObjectId barrier) {
  std::lock_guard lock(mutex_);
  if (any_source()) order_.add(place, waits, barrier);
}

void Gates::after_fork() {
  new (&mutex_) std::mutex;
  closed_ = true;
  running_.store(0);
}

}  // namespace amalgam::client
