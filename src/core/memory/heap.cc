// SPDX-License-Identifier: Apache-2.0
#include "core/memory/heap.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/assert.h"

namespace amalgam::core {
namespace {

constexpr uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) & ~(to - 1); }

/// `otherwise` where there is no file.
uint64_t file_bytes(int fd, uint64_t otherwise) {
  struct stat status{};
  if (fd < 0 || ::fstat(fd, &status) != 0) return otherwise;
  return static_cast<uint64_t>(status.st_size) & ~(Heap::kPage - 1);
}

}  // namespace

Heap::Heap(int fd, uint64_t begin, uint64_t end)
    : fd_(fd), end_(std::clamp(file_bytes(fd, end), begin, std::max(begin, end))), most_(end) {
  AMALGAM_ASSERT(begin % kPage == 0 && end % kPage == 0 && begin <= end);
  if (begin < end_) add_free(begin, end_ - begin);
}

bool Heap::mapped_at(std::byte* base, uint64_t open_bytes) {
  base_ = base;
  opened_.mapped_at(base);
  return opened_.open(0, open_bytes);
}

/// Takes in what the memory has become larger by.
bool Heap::grow() {
  const uint64_t end = std::min(file_bytes(fd_, end_), most_);
  if (end <= end_) return false;
  uint64_t begin = end_;
  if (!free_.empty()) {
    auto last = std::prev(free_.end());
    if (last->first + last->second == end_) {
      begin = last->first;
      remove_free(last);
    }
  }
  add_free(begin, end - begin);
  end_ = end;
  return true;
}

std::optional<uint64_t> Heap::fit(uint64_t size, uint64_t alignment, Free::iterator& found) {
  // Looks at the best few, which may miss by their alignment; a range of size + alignment never misses.
  constexpr int kLooks = 32;
  int looks = 0;
  auto candidate = by_size_.lower_bound({size, 0});
  while (candidate != by_size_.end()) {
    auto [range_size, range_offset] = *candidate;
    uint64_t at = round_up(range_offset, alignment);
    if (at - range_offset <= range_size - size) {
      found = free_.find(range_offset);
      return at;
    }
    if (++looks == kLooks) {
      auto sure = by_size_.lower_bound({size + alignment, 0});
      if (sure != by_size_.end() && *sure > *candidate) {
        candidate = sure;
        continue;
      }
    }
    ++candidate;
  }
  return std::nullopt;
}

uint64_t Heap::rounded(uint64_t size) {
  size = std::max<uint64_t>(size, 1);
  return size < kPage ? round_up(size, kSmallGranule) : round_up(size, kPage);
}

std::optional<uint64_t> Heap::allocate(uint64_t size) {
  if (size > UINT64_MAX - kHugePage) return std::nullopt;
  size = rounded(size);
  uint64_t alignment = size < kPage ? kSmallGranule : size < kHugePage ? kPage : kHugePage;
  Free::iterator range;
  auto at = fit(size, alignment, range);
  if (!at && grow()) at = fit(size, alignment, range);
  if (!at || !take(range, *at, size)) return std::nullopt;
  return at;
}

bool Heap::allocate_at(uint64_t offset, uint64_t size) {
  if (size > UINT64_MAX - kHugePage) return false;
  size = rounded(size);
  if (offset % (size < kPage ? kSmallGranule : kPage) != 0) return false;
  for (bool again : {true, false}) {
    auto range = free_.upper_bound(offset);
    if (range != free_.begin()) {
      --range;
      const uint64_t end = range->first + range->second;
      if (offset < end && size <= end - offset) return take(range, offset, size);
    }
    if (!again || !grow()) return false;
  }
  return false;
}

bool Heap::take(Free::iterator range, uint64_t at, uint64_t size) {
  if (!opened_.open(at, at + size)) return false;
  uint64_t begin = range->first, end = begin + range->second;
  remove_free(range);
  if (at > begin) add_free(begin, at - begin);
  if (at + size < end) add_free(at + size, end - at - size);
  clip_dirty(at, size);
  live_.emplace(at, size);
  used_ += size;
  if (base_ != nullptr && size >= kHugePage) ::madvise(base_ + at, size, MADV_HUGEPAGE);
  return true;
}

void Heap::free(uint64_t offset) {
  auto found = live_.find(offset);
  AMALGAM_ASSERT(found != live_.end());
  uint64_t size = found->second;
  live_.erase(found);
  used_ -= size;
  uint64_t begin = offset, end = offset + size;
  auto after = free_.lower_bound(begin);
  if (after != free_.end() && after->first == end) {
    end += after->second;
    auto next = std::next(after);
    remove_free(after);
    after = next;
  }
  if (after != free_.begin()) {
    auto before = std::prev(after);
    if (before->first + before->second == begin) {
      begin = before->first;
      remove_free(before);
    }
  }
  add_free(begin, end - begin);
  if (fd_ < 0) return;
  // Whole pages where the rest of the page is free too, so that pages which small regions shared are not forgotten.
  uint64_t dirty_begin = std::max(begin, offset & ~(kPage - 1)), dirty_end = std::min(end, round_up(offset + size, kPage));
  clip_dirty(dirty_begin, dirty_end - dirty_begin);
  add_dirty(dirty_begin, dirty_end - dirty_begin);
  while (cached_ > kHeapCacheBytes) punch_oldest();
}

void Heap::add_free(uint64_t offset, uint64_t size) {
  free_.emplace(offset, size);
  by_size_.emplace(size, offset);
}

void Heap::remove_free(Free::iterator range) {
  by_size_.erase({range->second, range->first});
  free_.erase(range);
}

void Heap::put_dirty(uint64_t offset, uint64_t size, uint64_t age) {
  while (dirty_by_age_.contains(age)) ++age;  // a range that was cut in two: both halves are about as old
  dirty_.emplace(offset, Dirty{size, age});
  dirty_by_age_.emplace(age, offset);
  cached_ += size;
}

std::map<uint64_t, Heap::Dirty>::iterator Heap::drop_dirty(std::map<uint64_t, Dirty>::iterator entry) {
  cached_ -= entry->second.size;
  dirty_by_age_.erase(entry->second.age);
  return dirty_.erase(entry);
}

void Heap::add_dirty(uint64_t offset, uint64_t size) {
  uint64_t begin = offset, end = offset + size;
  auto after = dirty_.lower_bound(begin);
  // Small neighbours grow together; large ones stay apart, so that the oldest goes first.
  auto joins = [&](auto entry) { return entry->second.size < kHugePage && size < kHugePage; };
  if (after != dirty_.end() && after->first == end && joins(after)) {
    end += after->second.size;
    after = drop_dirty(after);
  }
  if (after != dirty_.begin()) {
    auto before = std::prev(after);
    if (before->first + before->second.size == begin && joins(before)) {
      begin = before->first;
      drop_dirty(before);
    }
  }
  clock_ += 1024;
  put_dirty(begin, end - begin, clock_);
}

void Heap::clip_dirty(uint64_t offset, uint64_t size) {
  uint64_t end = offset + size;
  auto entry = dirty_.upper_bound(offset);
  if (entry != dirty_.begin()) {
    auto before = std::prev(entry);
    if (before->first + before->second.size > offset) entry = before;
  }
  while (entry != dirty_.end() && entry->first < end) {
    uint64_t from = entry->first, to = from + entry->second.size, age = entry->second.age;
    entry = drop_dirty(entry);
    if (from < offset) put_dirty(from, offset - from, age);
    if (to > end) put_dirty(end, to - end, age);
  }
}

void Heap::punch_oldest() {
  auto oldest = dirty_by_age_.begin();
  auto entry = dirty_.find(oldest->second);
  // A page that a live neighbour shares stays; the neighbour's own end brings it here again.
  uint64_t begin = round_up(entry->first, kPage), end = (entry->first + entry->second.size) & ~(kPage - 1);
  drop_dirty(entry);
  if (begin < end)
    ::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin), static_cast<off_t>(end - begin));
  close_around(begin, end);
}

/// A freed part has no pages any more. A grain that a neighbour shares, which lives or has pages, stays open.
void Heap::close_around(uint64_t begin, uint64_t end) {
  if (base_ == nullptr || begin >= end) return;
  auto around = free_.upper_bound(begin);
  if (around == free_.begin()) return;
  --around;
  uint64_t from = around->first, to = around->first + around->second;
  auto after = dirty_.lower_bound(end);
  if (after != dirty_.end()) to = std::min(to, after->first);
  auto before = dirty_.lower_bound(begin);
  if (before != dirty_.begin()) from = std::max(from, std::prev(before)->first + std::prev(before)->second.size);
  constexpr uint64_t kGrain = protocol::OpenParts::kGrain;
  from = std::max(begin & ~(kGrain - 1), round_up(from, kGrain));
  to = std::min(round_up(end, kGrain), to & ~(kGrain - 1));
  opened_.close(from, to);
}

}  // namespace amalgam::core
