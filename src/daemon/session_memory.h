// SPDX-License-Identifier: Apache-2.0
// The memories of a session: rings, heap and counters, made and sealed by the daemon so that neither client nor worker can
// shrink them under the other's feet.
//
// Threads: plain values. Blocking: never; the heap is sparse, nothing is touched but the first page of ring and counters.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/unique_fd.h"
#include "model/counters.h"

namespace amalgam::daemon {

/// A counters page, mapped for reading. Movable.
class CountersPage {
 public:
  CountersPage() = default;
  /// Maps a descriptor that may come from a worker: kProtocol if it is too small or could shrink later.
  static Result<CountersPage> map(int fd);
  CountersPage(CountersPage&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
  CountersPage& operator=(CountersPage&& other) noexcept;
  ~CountersPage();

  /// Null if there is none.
  const model::Counters* get() const { return page_; }

 private:
  const model::Counters* page_ = nullptr;
};

struct SessionMemory {
  UniqueFd ring, heap, counters;
  CountersPage page;
};

Result<SessionMemory> make_session_memory(uint64_t heap_bytes);

/// Size of a heap for devices of which the largest memory pool has so many bytes.
uint64_t heap_bytes_for(uint64_t largest_pool);

}  // namespace amalgam::daemon
