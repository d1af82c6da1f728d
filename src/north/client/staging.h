// SPDX-License-Identifier: Apache-2.0
// Staging: hands out the first kStagingBytes of the heap for bulk data on its way to or from the worker.
//
// First fit over an ordered free list, 64-byte granules. Bounded: a request that does not fit gets nothing, and the caller
// waits for completions or cuts its data into pieces. What lies beyond kWarmBytes goes back to the kernel when it is freed.
//
// Threads: every method locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <new>

#include "protocol/waist/frame.h"

namespace amalgam::client {

class Staging {
 public:
  /// What may be taken: all, or what keeps one half for others.
  enum class Part : uint8_t { kAll, kHalf };
  /// `base`: where the heap is mapped. `reach` is called, with a lock, before the first use of anything below `end`; false:
  /// it cannot be used.
  using Reach = std::function<bool(uint64_t end)>;
  void open(std::byte* base, uint64_t bytes, Reach reach);
  /// A block of at least `size` bytes (size > 0); {0, 0} if there is no room now.
  protocol::BulkRef take(uint64_t size, Part part = Part::kAll);
  void give_back(protocol::BulkRef block);
  std::byte* at(protocol::BulkRef block) const { return base_ + block.offset; }
  /// In a forked child: whoever held the lock is not there.
  void after_fork() { new (&mutex_) std::mutex; }
  uint64_t capacity() const { return bytes_; }

 private:
  bool reaches(uint64_t end);

  std::mutex mutex_;
  std::byte* base_ = nullptr;
  uint64_t bytes_ = 0;
  uint64_t taken_ = 0;
  uint64_t reached_ = 0;  ///< what may be touched
  Reach reach_;
  std::map<uint64_t, uint64_t> free_;  ///< offset → size, coalesced
};

/// A block that gives itself back.
class StagedBlock {
 public:
  StagedBlock() = default;
  StagedBlock(Staging& staging, uint64_t size, Staging::Part part = Staging::Part::kAll)
      : staging_(&staging), block_(size == 0 ? protocol::BulkRef{} : staging.take(size, part)), size_(size) {}
  StagedBlock(StagedBlock&& other) noexcept : staging_(other.staging_), block_(other.block_), size_(other.size_) {
    other.block_ = {};
  }
  StagedBlock& operator=(StagedBlock&& other) noexcept {
    if (this != &other) {
      reset();
      staging_ = other.staging_;
      block_ = other.block_;
      size_ = other.size_;
      other.block_ = {};
    }
    return *this;
  }
  ~StagedBlock() { reset(); }
  bool ok() const { return size_ == 0 || block_.size != 0; }
  std::byte* data() const { return staging_->at(block_); }
  protocol::BulkRef ref() const { return {block_.offset, size_}; }
  uint64_t offset() const { return block_.offset; }
  uint64_t room() const { return block_.size; }
  /// The caller gives it back itself, later.
  protocol::BulkRef release() {
    protocol::BulkRef block = block_;
    block_ = {};
    return block;
  }

 private:
  void reset() {
    if (block_.size != 0) staging_->give_back(block_);
    block_ = {};
  }
  Staging* staging_ = nullptr;
  protocol::BulkRef block_;
  uint64_t size_ = 0;
};

}  // namespace amalgam::client
