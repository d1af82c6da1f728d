// SPDX-License-Identifier: Apache-2.0
// Copies: bytes of a session that lie in its heap once more, so that another worker has them: those that only a device has,
// as of the journal's point, and those that writes have taken from the heap since, which the program may overwrite.
//
// New copies are drafts until the point counts: until then the old ones are all that there is. Those of a reliable session
// are memory like any other and take quota.
//
// Threads: the dispatcher's. Blocking: as MemoryBudget::take().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "core/session/state/objects.h"

namespace amalgam::core {

class Copies {
 public:
  /// `takes_quota`: otherwise what is copied goes at once.
  Copies(Heap& heap, MemoryBudget& budget, bool takes_quota) : heap_(heap), budget_(budget), takes_quota_(takes_quota) {}

  /// A range for a region's bytes at the point that is being taken: its offset.
  Result<uint64_t> draft(protocol::ObjectId region, uint64_t bytes);
  /// The region's bytes at the last point stay what they are.
  void stays(protocol::ObjectId region) { staying_.push_back(region); }
  /// Where they are; nothing if there is no copy.
  std::optional<uint64_t> of(protocol::ObjectId region) const;
  /// The point counts: copies of other regions go, and what writes have taken but for `open` ones.
  void commit(const std::function<bool(protocol::ObjectId stream, uint64_t number)>& open);
  void discard();
  void clear();

  /// A range for what a write takes from the heap: its offset.
  Result<uint64_t> keep(protocol::ObjectId stream, uint64_t number, uint64_t bytes);
  /// Bytes of them.
  uint64_t kept_bytes() const { return kept_bytes_; }

  /// The same range as in the worker before.
  Result<void> restore(protocol::ObjectId region, uint64_t offset, uint64_t bytes);
  Result<void> restore_kept(protocol::ObjectId stream, uint64_t number, uint64_t offset, uint64_t bytes);

 private:
  struct Copy {
    QuotaShare share;
    HeapRange range;
    uint64_t bytes = 0;
  };
  Result<Copy> take(uint64_t bytes, std::optional<uint64_t> at = std::nullopt);

  Heap& heap_;
  MemoryBudget& budget_;
  const bool takes_quota_;
  std::map<protocol::ObjectId, Copy> regions_, drafts_;
  std::vector<protocol::ObjectId> staying_;
  std::map<std::pair<protocol::ObjectId, uint64_t>, Copy> kept_;
  uint64_t kept_bytes_ = 0;
};

}  // namespace amalgam::core
