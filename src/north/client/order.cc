// SPDX-License-Identifier: Apache-2.0
#include "north/client/order.h"

namespace amalgam::client {

void Order::drop_gate(const Place& place) {
  auto found = streams_.find(place.stream);
  if (found != streams_.end()) found->second.gates.erase(place.number);
}

void Order::add(const Place& place, std::span<const protocol::ObjectId> waits, protocol::ObjectId barrier) {
  if (waits.empty() && barrier == 0) return;
  Waits& note = streams_[place.stream].notes[place.number];
  note.assign(waits.begin(), waits.end());
  if (barrier != 0) note.push_back(barrier);
}

bool Order::take(const Reach& reach, std::vector<Waits>& notes) {
  auto found = streams_.find(reach.stream);
  if (found == streams_.end()) return true;
  Stream& stream = found->second;
  if (!stream.gates.empty() && *stream.gates.begin() <= reach.through) return false;
  auto last = stream.notes.upper_bound(reach.through);
  for (auto note = stream.notes.begin(); note != last; note = stream.notes.erase(note))
    notes.push_back(std::move(note->second));
  if (auto own = stream.notes.extract(reach.own)) notes.push_back(std::move(own.mapped()));
  return true;
}

}  // namespace amalgam::client
