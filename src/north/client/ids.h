// SPDX-License-Identifier: Apache-2.0
// IdPool: makes the object ids that name a session's objects on the waist, and finds a client object by its id.
//
// An id is a slot and the slot's generation (protocol/waist/frame.h), so a late completion for an object that is gone finds
// nothing. Bounded by kMaxObjects.
//
// Threads: every method locks; none blocks for long.
#pragma once

#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

#include "protocol/waist/frame.h"

namespace amalgam::client {

/// What the completion path must find by id. Others are registered with a null pointer.
struct Tracked {
  enum class TrackedKind : uint8_t { kEvent, kStream };
  explicit Tracked(TrackedKind k) : tracked_kind(k) {}
  const TrackedKind tracked_kind;

 protected:
  ~Tracked() = default;  // not virtual: a front door's handle must begin with the loader's dispatch pointer
};

class IdPool {
 public:
  /// A new id that finds `object` (may be null). 0 at the bound.
  protocol::ObjectId make(Tracked* object);
  /// The slot may be used again, under another generation. Returns what it found.
  void free(protocol::ObjectId id);
  /// The object of a live id, else null. `pin` is called under the lock if it is found, to take a reference.
  template <typename Pin>
  Tracked* find(protocol::ObjectId id, Pin pin) {
    std::lock_guard lock(mutex_);
    uint32_t slot = protocol::slot_of(id);
    if (slot >= slots_.size() || slots_[slot].id != id || slots_[slot].object == nullptr) return nullptr;
    pin(slots_[slot].object);
    return slots_[slot].object;
  }
  /// In a forked child: whoever held the lock is not there.
  void after_fork() { new (&mutex_) std::mutex; }
  /// Calls `visit` with every tracked object, under the lock.
  template <typename Visit>
  void each(Visit visit) {
    std::lock_guard lock(mutex_);
    for (Slot& slot : slots_)
      if (slot.object != nullptr) visit(slot.object);
  }

 private:
  struct Slot {
    protocol::ObjectId id = 0;  ///< 0: free
    uint32_t generation = 0;
    Tracked* object = nullptr;
  };
  std::mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
};

}  // namespace amalgam::client
