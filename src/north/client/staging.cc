// SPDX-License-Identifier: Apache-2.0
#include "north/client/staging.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/limits.h"

namespace amalgam::client {
namespace {

constexpr uint64_t kGranule = 64;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kReachStep = 4 * kMiB;
constexpr uint64_t kWarmBytes = 32 * kMiB;  // at the beginning, which is taken first: pages that are there

}  // namespace

void Staging::open(std::byte* base, uint64_t bytes, Reach reach) {
  std::lock_guard lock(mutex_);
  reach_ = std::move(reach);
  base_ = base;
  bytes_ = bytes;
  free_.clear();
  free_[0] = bytes;
}

/// More than is asked for: each time costs a system call.
bool Staging::reaches(uint64_t end) {
  if (end <= reached_) return true;
  const uint64_t reach = std::min(bytes_, (end + kReachStep - 1) / kReachStep * kReachStep);
  if (!reach_(reach)) return false;
  reached_ = reach;
  return true;
}

protocol::BulkRef Staging::take(uint64_t size, Part part) {
  if (size == 0 || size > bytes_) return {};
  uint64_t need = (size + kGranule - 1) & ~(kGranule - 1);
  std::lock_guard lock(mutex_);
  if (part == Part::kHalf && taken_ + need > bytes_ / 2) return {};
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second < need) continue;
    auto [offset, room] = *it;
    if (!reaches(offset + need)) return {};
    free_.erase(it);
    if (room > need) free_[offset + need] = room - need;
    taken_ += need;
    return {offset, need};
  }
  return {};
}

void Staging::give_back(protocol::BulkRef block) {
  if (block.size == 0) return;
  const uint64_t begin = (std::max(block.offset, kWarmBytes) + kPage - 1) & ~(kPage - 1);
  const uint64_t end = (block.offset + block.size) & ~(kPage - 1);
  if (begin < end) ::madvise(base_ + begin, end - begin, MADV_REMOVE);
  std::lock_guard lock(mutex_);
  taken_ -= block.size;
  auto next = free_.lower_bound(block.offset);
  uint64_t offset = block.offset, size = block.size;
  if (next != free_.end() && offset + size == next->first) {
    size += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += size;
      return;
    }
  }
  free_[offset] = size;
}

}  // namespace amalgam::client
