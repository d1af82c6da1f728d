// SPDX-License-Identifier: Apache-2.0
// What a session has besides objects at a point of its journal: how far its streams have come, which events have ended and
// how, the commands that have not ended, and where regions' bytes were left. And what is logged behind the point.
//
// Threads: plain values; views point into the decoded record.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "protocol/waist/waist.h"

namespace amalgam::core {

enum class StateType : uint16_t { kStream = 1, kEnded, kPending, kWatched, kSaved };

/// Of its numbered commands all have ended but `open`.
struct StreamState {
  static constexpr StateType kType = StateType::kStream;
  protocol::ObjectId id = 0;
  uint64_t sent = 0, told = 0;
  std::vector<uint64_t> open;
  std::vector<uint64_t> asked;  ///< numbers at which the client wants to be told, each with
  std::vector<uint8_t> asked_by;
  template <typename A>
  void fields(A& a) {
    a(id, sent, told, open, asked, asked_by);
  }
};

/// An event that has ended, and that the client can still name.
struct EndedEvent {
  static constexpr StateType kType = StateType::kEnded;
  protocol::ObjectId id = 0, context = 0;
  bool is_user = false;
  bool is_refused = false;  ///< its command never got to the driver
  int32_t status = 0;
  protocol::Timestamps times;
  template <typename A>
  void fields(A& a) {
    a(id, context, is_user, is_refused, status, times);
  }
};

/// A command that has not ended at the point, or that was executed after it; in the order of the ring.
struct PendingCommand {
  static constexpr StateType kType = StateType::kPending;
  uint16_t type = 0;  ///< protocol::CommandType
  uint64_t number = 0;
  bool is_named = false;      ///< the client can still name its event
  bool gate_is_told = false;  ///< a gate that the client has heard of
  uint64_t kept = 0;          ///< a write: where its bytes are in the heap once it has ended; 0: nowhere
  uint64_t kept_bytes = 0;
  std::span<const std::byte> frame;
  template <typename A>
  void fields(A& a) {
    a(type, number, is_named, gate_is_told, kept, kept_bytes, frame);
  }
};

/// A command has ended, and the client may do as it likes with the heap that it named.
struct DoneCommand {
  protocol::ObjectId stream = 0;
  uint64_t number = 0;
  bool was_refused = false;
  int32_t status = 0;
  protocol::Timestamps times;
  template <typename A>
  void fields(A& a) {
    a(stream, number, was_refused, status, times);
  }
};

/// The client has this if its ring has come so far: it is written just before.
struct Told {
  protocol::CompletionType type{};
  uint64_t key = 0;  ///< Reply: the call; GateReady: the event; Output: bytes of text; EventDone, StreamRetired: the stream
  uint64_t number = 0;  ///< EventDone, StreamRetired: of the command
  uint64_t head = 0;    ///< of the completion ring, behind it
  template <typename A>
  void fields(A& a) {
    a(type, key, number, head);
  }
};

/// The client wants to hear of statuses of an event that has not ended.
struct WatchedEvent {
  static constexpr StateType kType = StateType::kWatched;
  protocol::ObjectId id = 0;
  uint8_t bits = 0;  ///< as EventObject::watched, without those that it was told
  template <typename A>
  void fields(A& a) {
    a(id, bits);
  }
};

/// A region of a device's own memory: its bytes are in the heap, packed.
struct SavedRegion {
  static constexpr StateType kType = StateType::kSaved;
  protocol::ObjectId id = 0;
  uint64_t heap_offset = 0;
  template <typename A>
  void fields(A& a) {
    a(id, heap_offset);
  }
};

}  // namespace amalgam::core
