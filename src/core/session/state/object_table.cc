// SPDX-License-Identifier: Apache-2.0
#include "core/session/state/object_table.h"

#include <algorithm>

#include "base/limits.h"

namespace amalgam::core {
namespace {

uint32_t generation_of(protocol::ObjectId id) { return static_cast<uint32_t>(id >> 32); }

}  // namespace

Result<void> ObjectTable::check_free(protocol::ObjectId id) const {
  uint32_t slot = protocol::slot_of(id);
  if (slot == 0 || slot >= kMaxObjects) return fail(Code::kLimit, "object slot is out of range");
  if (replays_) return {};
  uint32_t last = slot < slots_.size() ? slots_[slot].generation : 0;
  if (slot < slots_.size() && slots_[slot].object) return fail(Code::kInvalidArgument, "object slot is in use");
  if (generation_of(id) <= last) return fail(Code::kInvalidArgument, "object id was used before");
  return {};
}

Result<void> ObjectTable::insert(protocol::ObjectId id, Ref<Object> object) {
  if (auto free = check_free(id); !free) return free;
  uint32_t slot = protocol::slot_of(id);
  if (slot >= slots_.size()) {
    size_t want = std::max<size_t>({slot + 1, slots_.size() * 2, 64});
    slots_.resize(std::min<size_t>(want, kMaxObjects));
  }
  if (replays_ && (slots_[slot].object || generation_of(id) <= slots_[slot].generation)) {
    erased_[id] = std::move(object);
    return {};
  }
  slots_[slot].object = std::move(object);
  slots_[slot].generation = generation_of(id);
  ++live_;
  return {};
}

Object* ObjectTable::find(protocol::ObjectId id) const {
  uint32_t slot = protocol::slot_of(id);
  if (slot < slots_.size() && slots_[slot].generation == generation_of(id) && slots_[slot].object)
    return slots_[slot].object.get();
  if (!replays_) [[likely]]
    return nullptr;
  auto found = erased_.find(id);
  return found == erased_.end() ? nullptr : found->second.get();
}

bool ObjectTable::erase(protocol::ObjectId id) {
  if (find(id) == nullptr) return false;
  Slot& slot = slots_[protocol::slot_of(id)];
  if (slot.generation != generation_of(id) || !slot.object) return true;  // erased before, in a replay
  if (replays_) erased_[id] = slot.object;
  slot.object = {};
  --live_;
  return true;
}

void ObjectTable::forget(protocol::ObjectId id) {
  (void)erase(id);
  erased_.erase(id);
}

void ObjectTable::end_replay() {
  erased_.clear();
  replays_ = false;
}

void ObjectTable::clear() {
  for (Slot& slot : slots_) slot.object = {};
  erased_.clear();
  live_ = 0;
}

}  // namespace amalgam::core
