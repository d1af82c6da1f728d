// SPDX-License-Identifier: Apache-2.0
// Order: what comes after what this process alone ends: gates, and user events.
//
// When a program hears that a command has ended it concludes that everything before it has, and takes back the memory of
// all; until a user event is set it goes on using what the commands behind it are to read and write. So no worker may say
// that a command has ended, or that a gate's turn has come, while such a *source* that comes before it is pending. Every
// honest worker keeps to that by itself (core/session/telling/flight.h); here it is held to it.
//
//   user event ──▶ read (a gate) ──▶ marker ──▶ launch of another queue       a wait list, an in-order queue, a barrier
//       └─ pending: whoever says that the launch has ended, or that it is the read's turn, lies
//
// Theory. A command comes after the events of its wait list, and after all before it on its stream if that is in order or it
// is a marker that waits for all. That is noted as long as any source is pending; what was enqueued while none was comes
// after none. The question is a walk from one command up to sources. A command that is found to be after no pending source
// stays so, and its note goes, so each note is walked over once. What has a failed event in its wait list has not waited for
// the others. Rejected: the set of sources before each command (quadratic in the reads under way), and to trust the order in
// which ends are told (a gate's turn is told before the ends that it waited for).
//
// Threads: none of its own (gates.h). Bounded by the commands in flight.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "protocol/waist/frame.h"

namespace amalgam::client {

/// Where a command stands.
struct Place {
  protocol::ObjectId stream = 0;
  uint64_t number = 0;     ///< in its stream, from 1
  bool after_all = false;  ///< after everything before it there, and not after its wait list alone
};

/// What is known of an event.
struct Seen {
  enum class What : uint8_t { kEnded, kFailed, kSource, kCommand } what = What::kEnded;
  Place place;  ///< kCommand
};

class Order {
 public:
  void add_gate(const Place& place) { streams_[place.stream].gates.insert(place.number); }
  void drop_gate(const Place& place);
  /// Notes what a command waits for. In the order of its stream's numbers.
  void add(const Place& place, std::span<const protocol::ObjectId> waits, protocol::ObjectId barrier);
  /// No source is pending: nothing comes after any.
  void forget() { streams_.clear(); }

  /// True if no pending source is before this command. `look(id)` says what is known of an event.
  template <typename Look>
  bool is_clear(const Place& place, Look look) {
    return walk({reach_of(place)}, look);
  }
  /// The same of all commands of a stream up to this number, themselves included.
  template <typename Look>
  bool is_clear_through(protocol::ObjectId stream, uint64_t number, Look look) {
    return walk({{stream, number, 0}}, look);
  }

 private:
  using Waits = std::vector<protocol::ObjectId>;
  struct Stream {
    std::set<uint64_t> gates;         ///< numbers of gates that have not ended
    std::map<uint64_t, Waits> notes;  ///< by number
  };
  /// A part of a stream: all numbers up to `through`, and `own`.
  struct Reach {
    protocol::ObjectId stream;
    uint64_t through, own;
  };
  static Reach reach_of(const Place& place) { return {place.stream, place.after_all ? place.number - 1 : 0, place.number}; }
  /// Takes the notes of a reach off. False if a gate is in it.
  bool take(const Reach& reach, std::vector<Waits>& notes);

  template <typename Look>
  bool walk(std::vector<Reach> todo, Look look) {
    std::vector<Waits> notes;
    while (!todo.empty()) {
      const Reach reach = todo.back();
      todo.pop_back();
      notes.clear();
      if (!take(reach, notes)) return false;
      for (const Waits& waits : notes)
        if (!follow(waits, look, todo)) return false;
    }
    return true;
  }
  template <typename Look>
  static bool follow(const Waits& waits, Look look, std::vector<Reach>& todo) {
    bool blocked = false;
    const size_t before = todo.size();
    for (protocol::ObjectId id : waits) {
      const Seen seen = look(id);
      if (seen.what == Seen::What::kCommand) todo.push_back(reach_of(seen.place));
      blocked |= seen.what == Seen::What::kSource;
      if (seen.what != Seen::What::kFailed) continue;
      todo.resize(before);
      return true;
    }
    return !blocked;
  }

  std::unordered_map<protocol::ObjectId, Stream> streams_;
};

}  // namespace amalgam::client
