// SPDX-License-Identifier: Apache-2.0
// The memories of a session: rings, heap, counters and grants, made and sealed by the daemon so that neither client nor
// worker can shrink them under the other's feet. The heap is as large as the slice's quota needs, and grows when that is
// raised; whoever grows it himself has gained nothing, as its pages are counted (memory_audit.h). Counters are the worker's
// to write and ours to read, grants the reverse.
//
// Threads: plain values. Blocking: never; the heap is sparse, nothing is touched but the first page of the others.
#pragma once

#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/unique_fd.h"
#include "model/counters.h"
#include "model/grants.h"
#include "protocol/control/channel.h"
#include "protocol/control/keep.h"

namespace amalgam::daemon {

/// One page of a session's memory as T, mapped until destruction. Movable. T const: for reading.
template <typename T>
class SharedPage {
 public:
  SharedPage() = default;
  /// kProtocol: it is too small or could shrink later.
  static Result<SharedPage> map(int fd);
  SharedPage(SharedPage&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
  SharedPage& operator=(SharedPage&& other) noexcept {
    std::swap(page_, other.page_);
    return *this;
  }
  ~SharedPage();

  /// Null if there is none.
  T* get() const { return page_; }

 private:
  T* page_ = nullptr;
};
using CountersPage = SharedPage<const model::Counters>;
using GrantsPage = SharedPage<model::Grants>;

/// The daemon's own ends of a session. They come from here or from the guardian, never from a worker.
struct SessionEnds {
  UniqueFd heap, counters;
  UniqueFd grants;  ///< open for writing
  UniqueFd bell;    ///< eventfd: the worker wants the arbiter's attention
  UniqueFd knock;   ///< eventfd: the client says that the worker will
  UniqueFd client;  ///< the worker's end of the client's socket: what another worker gets
  UniqueFd ring, journal;
  CountersPage counters_page;
  GrantsPage grants_page;

  /// The grants for a worker, to be read only.
  Result<UniqueFd> readable_grants() const;
  /// Those that a guardian has kept, mapped. kProtocol: as map().
  Result<void> take(protocol::ReceivedDescriptors<protocol::Keep>& kept);
  /// Maps the pages. kProtocol: they are not what make_session_memory() made.
  Result<void> map();
};

Result<SessionEnds> make_session_memory(uint64_t heap_bytes);

/// Size of a heap for so many bytes of regions: the largest memory pool's, or a quota.
uint64_t heap_bytes_for(uint64_t most);
/// The same for a client that can map so much; kLimit if that is too little for a session.
Result<uint64_t> heap_bytes_within(uint64_t most, uint64_t client_bytes);
/// Of the heap's beginning, what a client of a slice with this quota (0: none) hands out itself.
uint64_t staging_bytes_for(uint64_t quota);
/// Makes a heap's memory at least so large.
Result<void> grow_heap(int heap, uint64_t bytes);

}  // namespace amalgam::daemon
