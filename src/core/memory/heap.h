// SPDX-License-Identifier: Apache-2.0
// Heap: hands out the worker's part of a session's heap memory: every region gets its range here.
//
//   allocate ─▶ best fit in the free ranges ─▶ range          free ─▶ coalesced ─▶ dirty list ─▶ hole punched
//
// Theory. Free ranges are kept twice, by place (to coalesce) and by size (to fit best); ties go to the lowest offset, so
// the same calls always give the same places. Sizes below a page are rounded to 256 bytes, others to a page; from 2 MiB on
// ranges begin at a multiple of 2 MiB, so that the kernel can back them with huge pages.
//
// A freed range still has pages behind it. Up to kHeapCacheBytes of them are kept for the next allocation (a loop that
// creates and releases a region then faults once); what is over is given back to the kernel by punching holes, the oldest
// first, and nobody may touch them any more (open_parts.h). Memory from the kernel is zero; memory reused within a session
// needs no scrub, it has one tenant.
//
// The memory may be smaller than the range: it is made for the slice's quota, and made larger when that is raised.
//
// Threads: not thread-safe, the dispatcher owns it. Blocking: only as fallocate does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/limits.h"
#include "protocol/link/open_parts.h"

namespace amalgam::core {

class Heap {
 public:
  static constexpr uint64_t kSmallGranule = 256, kPage = 4096, kHugePage = 2 * kMiB;

  /// The range [begin, end) of the memory behind `fd`; both page-aligned. With fd -1 there is no memory to give back.
  Heap(int fd, uint64_t begin, uint64_t end);
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  /// Where the memory's offset 0 is mapped here, without access. From then on ranges are made accessible as they are handed
  /// out, as is [0, open_bytes), and large ones are advised to use huge pages. False: the kernel refuses.
  bool mapped_at(std::byte* base, uint64_t open_bytes);
  /// Whether this process may touch all of [offset, offset + size).
  bool accessible(uint64_t offset, uint64_t size) const { return opened_.covers(offset, offset + size); }
  /// The offset of a new range of at least `size` bytes (0 counts as 1); nothing if there is no room.
  std::optional<uint64_t> allocate(uint64_t size);
  /// The range of `size` bytes at `offset`, if it is free and allocate() could have given it.
  bool allocate_at(uint64_t offset, uint64_t size);
  /// Takes back a range that allocate() gave; any other offset traps.
  void free(uint64_t offset);

  uint64_t used_bytes() const { return used_; }
  /// Bytes of free ranges whose pages are still there.
  uint64_t cached_bytes() const { return cached_; }
  size_t free_ranges() const { return free_.size(); }

 private:
  struct Dirty {
    uint64_t size = 0;
    uint64_t age = 0;
  };
  using Free = std::map<uint64_t, uint64_t>;

  bool grow();
  std::optional<uint64_t> fit(uint64_t size, uint64_t alignment, Free::iterator& found);
  static uint64_t rounded(uint64_t size);
  bool take(Free::iterator range, uint64_t offset, uint64_t size);
  void add_free(uint64_t offset, uint64_t size);
  void remove_free(Free::iterator range);
  void add_dirty(uint64_t offset, uint64_t size);
  void clip_dirty(uint64_t offset, uint64_t size);
  void put_dirty(uint64_t offset, uint64_t size, uint64_t age);
  std::map<uint64_t, Dirty>::iterator drop_dirty(std::map<uint64_t, Dirty>::iterator entry);
  void punch_oldest();
  void close_around(uint64_t begin, uint64_t end);

  int fd_;
  uint64_t end_, most_;  // of the memory as far as it is known, and of the range
  std::byte* base_ = nullptr;
  uint64_t used_ = 0, cached_ = 0, clock_ = 0;
  Free free_;                                        // offset → size, coalesced
  std::set<std::pair<uint64_t, uint64_t>> by_size_;  // (size, offset) of free_
  std::unordered_map<uint64_t, uint64_t> live_;      // offset → size
  std::map<uint64_t, Dirty> dirty_;                  // parts of free_ that have pages
  std::map<uint64_t, uint64_t> dirty_by_age_;        // age → offset
  protocol::OpenParts opened_;
};

}  // namespace amalgam::core
