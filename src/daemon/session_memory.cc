// SPDX-License-Identifier: Apache-2.0
#include "daemon/session_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "protocol/ring.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kHeapGrain = 2 * kMiB;         // whole huge pages
constexpr uint64_t kMaxPool = uint64_t{1} << 44;  // two of them and staging fit into the address space of a process
constexpr unsigned kNoExecSeal = 0x0008U;         // MFD_NOEXEC_SEAL, Linux 6.3; not in this system's headers

/// Anonymous memory of a fixed size.
Result<UniqueFd> make_memory(const char* name, uint64_t bytes) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | kNoExecSeal));
  if (!fd && errno == EINVAL) fd.reset(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return fail(system_error("make session memory", errno));
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return fail(system_error("size session memory", errno));
  return fd;
}

Result<void> initialise_ring(int fd) {
  void* memory = ::mmap(nullptr, protocol::RingMemory::kCommandData, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return fail(system_error("map ring", errno));
  auto* ring = static_cast<protocol::RingMemory*>(memory);
  ring->magic = protocol::RingMemory::kMagic;
  ring->version = protocol::kWireVersion;
  ::munmap(memory, protocol::RingMemory::kCommandData);
  return {};
}

}  // namespace

CountersPage& CountersPage::operator=(CountersPage&& other) noexcept {
  std::swap(page_, other.page_);
  return *this;
}

CountersPage::~CountersPage() {
  if (page_ != nullptr) ::munmap(const_cast<model::Counters*>(page_), sizeof *page_);
}

Result<CountersPage> CountersPage::map(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return fail(system_error("look at counters", errno));
  int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || static_cast<uint64_t>(info.st_size) < sizeof(model::Counters))
    return fail(Code::kProtocol, "the counters are too small or not sealed");
  void* memory = ::mmap(nullptr, sizeof(model::Counters), PROT_READ, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return fail(system_error("map counters", errno));
  CountersPage page;
  page.page_ = static_cast<const model::Counters*>(memory);
  return page;
}

uint64_t heap_bytes_for(uint64_t largest_pool) {
  uint64_t bytes = kStagingBytes + 2 * std::min(largest_pool, kMaxPool);
  return (bytes + kHeapGrain - 1) / kHeapGrain * kHeapGrain;
}

Result<SessionMemory> make_session_memory(uint64_t heap_bytes) {
  auto ring = make_memory("amalgam-ring", protocol::RingMemory::kBytes);
  if (!ring) return std::unexpected(std::move(ring.error()));
  AMALGAM_TRY(initialise_ring(ring->get()), "ring");
  auto heap = make_memory("amalgam-heap", heap_bytes);
  if (!heap) return std::unexpected(std::move(heap.error()));
  auto counters = make_memory("amalgam-counters", sizeof(model::Counters));
  if (!counters) return std::unexpected(std::move(counters.error()));
  auto page = CountersPage::map(counters->get());
  if (!page) return std::unexpected(std::move(page.error()));
  return SessionMemory{std::move(*ring), std::move(*heap), std::move(*counters), std::move(*page)};
}

}  // namespace amalgam::daemon
