// SPDX-License-Identifier: Apache-2.0
#include "north/client/descriptors.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "model/grants.h"
#include "protocol/link/ring.h"
#include "protocol/link/sealed_memory.h"

namespace amalgam::client {
namespace {

constexpr uint64_t kPage = 4096;

bool is_unix_socket(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

/// An eventfd that does not block, marked as a knock. (Others of the kernel's own descriptors refuse to be written to, and
/// do no harm.)
bool is_bell(int fd) {
  struct statfs system{};
  int flags = ::fcntl(fd, F_GETFL);
  return ::fstatfs(fd, &system) == 0 && system.f_type == ANON_INODE_FS_MAGIC && flags >= 0 && (flags & O_NONBLOCK) != 0 &&
         ::fcntl(fd, F_GETSIG) == protocol::kKnockMark;
}

bool has_bytes(int fd, uint64_t least) {
  auto bytes = protocol::sealed_bytes(fd);
  return bytes && *bytes >= least;
}

}  // namespace

KeptDescriptor::KeptDescriptor(UniqueFd fd) : fd_(std::move(fd)), identity_(identity_of(fd_.get())) {}

KeptDescriptor& KeptDescriptor::operator=(KeptDescriptor&& other) noexcept {
  let_go();
  fd_ = std::move(other.fd_);
  identity_ = other.identity_;
  return *this;
}

KeptDescriptor::Identity KeptDescriptor::identity_of(int fd) {
  struct stat info{};
  if (fd < 0 || ::fstat(fd, &info) != 0) return {};
  return {info.st_dev, info.st_ino, ::fcntl(fd, F_GETSIG)};
}

int KeptDescriptor::get() const { return fd_ && identity_of(fd_.get()) == identity_ ? fd_.get() : -1; }

/// What is not ours any more is not ours to close.
void KeptDescriptor::let_go() {
  if (get() < 0) (void)fd_.release();
  fd_.reset();
}

Result<void> check_descriptors(const protocol::ReceivedDescriptors<protocol::SessionOpened>& fds, uint64_t heap_bytes) {
  if (!is_unix_socket(fds.worker.get())) return fail(Code::kProtocol, "no socket to a worker");
  if (!is_bell(fds.knock.get())) return fail(Code::kProtocol, "nothing to knock at");
  if (!has_bytes(fds.ring.get(), protocol::RingMemory::kBytes)) return fail(Code::kProtocol, "no memory for the rings");
  if (!has_bytes(fds.grants.get(), sizeof(model::Grants))) return fail(Code::kProtocol, "no memory for the grants");
  if (heap_bytes < kStagingBytes || heap_bytes > kMaxHeapBytes || heap_bytes % kPage != 0)
    return fail(Code::kProtocol, "a heap of " + std::to_string(heap_bytes) + " bytes");
  auto heap = protocol::sealed_bytes(fds.heap.get());
  if (!heap || *heap < kStagingBytes || *heap > heap_bytes || *heap % kPage != 0)
    return fail(Code::kProtocol, "no memory for the heap");
  return {};
}

}  // namespace amalgam::client
