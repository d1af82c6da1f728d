// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/session_memory.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <type_traits>

#include "base/limits.h"
#include "protocol/control/control.h"
#include "protocol/link/ring.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kHeapGrain = 2 * kMiB;         // whole huge pages
constexpr uint64_t kMaxPool = uint64_t{1} << 44;  // two of them and staging fit into the address space of a process
constexpr unsigned kNoExecSeal = 0x0008U;         // MFD_NOEXEC_SEAL, Linux 6.3; not in this system's headers

constexpr int kFixed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr int kMayGrow = F_SEAL_SHRINK | F_SEAL_SEAL;

/// Anonymous memory.
Result<UniqueFd> make_memory(const char* name, uint64_t bytes, int seals = kFixed) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | kNoExecSeal));
  if (!fd && errno == EINVAL) fd.reset(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return fail(system_error("make session memory", errno));
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 || ::fcntl(fd.get(), F_ADD_SEALS, seals) != 0)
    return fail(system_error("size session memory", errno));
  return fd;
}

/// Another descriptor of the same memory, with other rights.
Result<UniqueFd> open_again(int fd, int flags) {
  UniqueFd again(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), flags | O_CLOEXEC));
  if (!again) return fail(system_error("open session memory again", errno));
  return again;
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

template <typename T>
SharedPage<T>::~SharedPage() {
  if (page_ != nullptr) ::munmap(const_cast<std::remove_const_t<T>*>(page_), sizeof(T));
}

template <typename T>
Result<SharedPage<T>> SharedPage<T>::map(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return fail(system_error("look at session memory", errno));
  int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || static_cast<uint64_t>(info.st_size) < sizeof(T))
    return fail(Code::kProtocol, "session memory is too small or not sealed");
  constexpr int kProtection = std::is_const_v<T> ? PROT_READ : PROT_READ | PROT_WRITE;
  void* memory = ::mmap(nullptr, sizeof(T), kProtection, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return fail(system_error("map session memory", errno));
  SharedPage page;
  page.page_ = static_cast<T*>(memory);
  return page;
}

template class SharedPage<const model::Counters>;
template class SharedPage<model::Grants>;

Result<void> SessionEnds::take(protocol::ReceivedDescriptors<protocol::Keep>& kept) {
  heap = std::move(kept.heap);
  counters = std::move(kept.counters);
  grants = std::move(kept.grants);
  bell = std::move(kept.bell);
  knock = std::move(kept.knock);
  client = std::move(kept.client);
  ring = std::move(kept.ring);
  journal = std::move(kept.journal);
  return map();
}

Result<void> SessionEnds::map() {
  auto counted = CountersPage::map(counters.get());
  if (!counted) return std::unexpected(std::move(counted.error()));
  auto granted = GrantsPage::map(grants.get());
  if (!granted) return std::unexpected(std::move(granted.error()));
  counters_page = std::move(*counted);
  grants_page = std::move(*granted);
  return {};
}

uint64_t heap_bytes_for(uint64_t most) {
  uint64_t bytes = kStagingBytes + 2 * std::min(most, kMaxPool);  // twice: room for what lies between regions
  return (bytes + kHeapGrain - 1) / kHeapGrain * kHeapGrain;
}

Result<uint64_t> heap_bytes_within(uint64_t most, uint64_t client_bytes) {
  constexpr uint64_t kLeast = kStagingBytes + 64 * kMiB;
  const uint64_t bytes = std::min(heap_bytes_for(most), client_bytes & ~(kHeapGrain - 1));
  if (bytes >= std::min(kLeast, heap_bytes_for(most))) return bytes;
  return fail(Code::kLimit,
              "the program's address space is limited to less than a session needs: raise the limit (ulimit -v) by " +
                  std::to_string((kLeast - bytes) / kMiB + 1) + " MiB or more");
}

uint64_t staging_bytes_for(uint64_t quota) {
  if (quota == 0 || quota >= kStagingBytes) return kStagingBytes;
  return std::max(quota & ~(kHeapGrain - 1), kLeastStagingBytes);
}

Result<void> grow_heap(int heap, uint64_t bytes) {
  struct stat info{};
  if (::fstat(heap, &info) != 0) return fail(system_error("look at a heap", errno));
  if (static_cast<uint64_t>(info.st_size) >= bytes) return {};
  if (::ftruncate(heap, static_cast<off_t>(bytes)) != 0) return fail(system_error("grow a heap", errno));
  return {};
}

Result<UniqueFd> SessionEnds::readable_grants() const { return open_again(grants.get(), O_RDONLY); }

Result<SessionEnds> make_session_memory(uint64_t heap_bytes) {
  SessionEnds ends;
  struct Memory {
    UniqueFd& fd;
    const char* name;
    uint64_t bytes;
    int seals;
  };
  for (const Memory& memory : {Memory{ends.ring, "amalgam-ring", protocol::RingMemory::kBytes, kFixed},
                               Memory{ends.heap, "amalgam-heap", heap_bytes, kMayGrow},
                               Memory{ends.counters, "amalgam-counters", sizeof(model::Counters), kFixed},
                               Memory{ends.grants, "amalgam-grants", sizeof(model::Grants), kFixed},
                               Memory{ends.journal, "amalgam-journal", kJournalBytes, kFixed}}) {
    auto made = make_memory(memory.name, memory.bytes, memory.seals);
    if (!made) return std::unexpected(std::move(made.error()));
    memory.fd = std::move(*made);
  }
  AMALGAM_TRY(initialise_ring(ends.ring.get()), "ring");
  // Whoever has it for reading could open it again for writing, if his user may. Where the worker has our own user he is the
  // owner, but cannot change the mode.
  if (::fchmod(ends.grants.get(), S_IRUSR) != 0) return fail(system_error("protect the grants", errno));
  ends.bell.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  ends.knock.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!ends.bell || !ends.knock || ::fcntl(ends.knock.get(), F_SETSIG, protocol::kKnockMark) != 0)
    return fail(system_error("make a bell", errno));
  if (auto mapped = ends.map(); !mapped) return std::unexpected(std::move(mapped.error()));
  return ends;
}

}  // namespace amalgam::daemon
