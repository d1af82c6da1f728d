// SPDX-License-Identifier: Apache-2.0
// Enqueues: what a stream carries. Each begins with the same head.
//
// Threads: plain values; views point into the decoded frame.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/waist/frame.h"

namespace amalgam::protocol {

struct Enqueue {
  ObjectId stream = 0;
  ObjectId event = 0;               ///< the event that this command makes, or 0
  std::span<const ObjectId> waits;  ///< at most kMaxWaitList
  template <typename A>
  void fields(A& a) {
    a(stream, event, waits);
  }
};

struct Launch {
  static constexpr CommandType kType = CommandType::kLaunch;
  Enqueue head;
  ObjectId kernel = 0;
  uint8_t dimensions = 1;
  bool has_offset = false, has_local = false;
  std::array<uint64_t, 3> offset{}, global{}, local{};
  std::span<const std::byte> args;  ///< every set argument: ArgHead, value, padding, …
  template <typename A>
  void fields(A& a) {
    a(head, kernel, dimensions, has_offset, has_local, offset, global, local, args);
  }
};

/// One end of a Transfer. Linear ranges have row_pitch 0; rectangles and images use origin and pitches.
struct Endpoint {
  enum class Kind : uint8_t { kHeap = 0, kRegion = 1, kImage = 2 };
  Kind kind = Kind::kHeap;
  ObjectId id = 0;                   ///< region or image
  uint64_t offset = 0;               ///< bytes: in the heap, or in the region
  std::array<uint64_t, 3> origin{};  ///< bytes, rows, slices (regions and heap); pixels (images)
  uint64_t row_pitch = 0, slice_pitch = 0;
  template <typename A>
  void fields(A& a) {
    a(kind, id, offset, origin, row_pitch, slice_pitch);
  }
};

/// Moves bytes: heap → region is a write, region → heap a read, heap → heap an SVM copy; with `rect` the pitches count.
struct Transfer {
  static constexpr CommandType kType = CommandType::kTransfer;
  Enqueue head;
  Endpoint from, to;
  bool rect = false;
  std::array<uint64_t, 3> extent{};  ///< linear: {bytes, 0, 0}; rect: {bytes, rows, slices}; images: pixels
  template <typename A>
  void fields(A& a) {
    a(head, from, to, rect, extent);
  }
};

/// Fills a region range (extent[0] bytes), an image box (pattern = 16-byte colour) or a heap range (SVM).
struct Fill {
  static constexpr CommandType kType = CommandType::kFill;
  Enqueue head;
  Endpoint to;
  std::array<uint64_t, 3> extent{};
  std::span<const std::byte> pattern;
  template <typename A>
  void fields(A& a) {
    a(head, to, extent, pattern);
  }
};

enum class MarkerKind : uint8_t { kMarker = 0, kBarrier = 1 };
struct Marker {
  static constexpr CommandType kType = CommandType::kMarker;
  Enqueue head;
  MarkerKind kind = MarkerKind::kMarker;
  template <typename A>
  void fields(A& a) {
    a(head, kind);
  }
};
struct Migrate {
  static constexpr CommandType kType = CommandType::kMigrate;
  Enqueue head;
  std::span<const ObjectId> regions;
  uint64_t flags = 0;
  template <typename A>
  void fields(A& a) {
    a(head, regions, flags);
  }
};

/// A place in a stream where the *client* does the work: a copy between the program's memory and a shared region, a native
/// kernel. When everything before it is done the worker sends GateReady; what comes after waits for SignalEvent(head.event).
/// The event is the gate: it ends with the signal's status and gets its EventDone like any other.
struct Gate {
  static constexpr CommandType kType = CommandType::kGate;
  Enqueue head;
  template <typename A>
  void fields(A& a) {
    a(head);
  }
};

/// Asks for a StreamRetired once everything enqueued on the stream so far has completed. Not an enqueue: it takes no number.
struct Notify {
  static constexpr CommandType kType = CommandType::kNotify;
  ObjectId stream = 0;
  template <typename A>
  void fields(A& a) {
    a(stream);
  }
};

}  // namespace amalgam::protocol
