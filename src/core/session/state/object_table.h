// SPDX-License-Identifier: Apache-2.0
// ObjectTable: what a session's ids name. Ids are made by the client, so every one of them may be a lie.
//
// An id is a slot and a generation. A slot's generations only grow, so an id that was released never names anything again,
// whatever the client sends. Slots are bounded by kMaxObjects; the table grows with the highest slot in use.
//
// Threads: the dispatcher only.
#pragma once

#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "core/session/state/object.h"
#include "protocol/waist/frame.h"

namespace amalgam::core {

class ObjectTable {
 public:
  /// Whether insert() would take the id; says why not.
  Result<void> check_free(protocol::ObjectId id) const;
  /// Names `object` by `id`. The same errors as check_free().
  Result<void> insert(protocol::ObjectId id, Ref<Object> object);
  /// The live object of that id, or null.
  Object* find(protocol::ObjectId id) const;
  /// The live object of that id if it is of T's kind, or null.
  template <typename T>
  T* find(protocol::ObjectId id) const {
    Object* object = find(id);
    return object != nullptr && object->kind == T::kKind ? static_cast<T*>(object) : nullptr;
  }
  /// Drops the table's reference; false if the id names nothing.
  bool erase(protocol::ObjectId id);
  void clear();

  /// From now on what happened in another table happens again: ids are believed, and an object whose id is erased, or whose
  /// place another has taken since, can still be found.
  void begin_replay() { replays_ = true; }
  /// Forgets an object altogether, under whatever name it is here.
  void forget(protocol::ObjectId id);
  /// What was erased is gone.
  void end_replay();
  size_t size() const { return live_; }

  /// Calls `visit` with every id and its object.
  template <typename F>
  void each_named(F visit) {
    for (uint32_t slot = 0; slot < slots_.size(); ++slot)
      if (slots_[slot].object) visit(protocol::make_id(slot, slots_[slot].generation), *slots_[slot].object);
  }
  /// Calls `visit` with every object, those that can only be found in a replay too.
  template <typename F>
  void each(F visit) {
    for (Slot& slot : slots_)
      if (slot.object) visit(*slot.object);
    for (auto& [id, object] : erased_) visit(*object);
  }

 private:
  struct Slot {
    Ref<Object> object;
    uint32_t generation = 0;  // of the object, or of the last one that was here
  };
  std::vector<Slot> slots_;
  std::unordered_map<protocol::ObjectId, Ref<Object>> erased_;  ///< during a replay
  bool replays_ = false;
  size_t live_ = 0;
};

}  // namespace amalgam::core
