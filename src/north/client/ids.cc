// SPDX-License-Identifier: Apache-2.0
#include "north/client/ids.h"

#include "base/limits.h"

namespace amalgam::client {

protocol::ObjectId IdPool::make(Tracked* object) {
  std::lock_guard lock(mutex_);
  uint32_t slot;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else {
    if (slots_.empty()) slots_.emplace_back();  // slot 0 stays unused, so that no id is 0
    if (slots_.size() >= kMaxObjects) return 0;
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  }
  Slot& entry = slots_[slot];
  entry.generation += 1;
  entry.id = protocol::make_id(slot, entry.generation);
  entry.object = object;
  return entry.id;
}

void IdPool::free(protocol::ObjectId id) {
  std::lock_guard lock(mutex_);
  uint32_t slot = protocol::slot_of(id);
  if (slot >= slots_.size() || slots_[slot].id != id) return;
  slots_[slot].id = 0;
  slots_[slot].object = nullptr;
  free_.push_back(slot);
}

}  // namespace amalgam::client
