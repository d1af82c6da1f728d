// SPDX-License-Identifier: Apache-2.0
#include "tests/client/liar_opening.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "model/grants.h"
#include "protocol/control/attach.h"
#include "protocol/link/ring.h"
#include "tests/client/worker.h"

namespace amalgam::liar {
namespace {

constexpr int kSealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

UniqueFd memory(uint64_t bytes, unsigned flags, int seals) {
  UniqueFd fd(::memfd_create("liar", MFD_CLOEXEC | flags));
  if (fd && ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) fd.reset();  // no whole number of huge pages
  if (fd && seals != 0 && ::fcntl(fd.get(), F_ADD_SEALS, seals) != 0) __builtin_trap();
  return fd;
}

/// The end of a pipe that nobody reads.
UniqueFd broken_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) __builtin_trap();
  ::close(ends[0]);
  return UniqueFd(ends[1]);
}

UniqueFd full_eventfd() {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC));
  const uint64_t most = UINT64_MAX - 1;
  if (::write(fd.get(), &most, sizeof most) != sizeof most) __builtin_trap();
  return fd;
}

UniqueFd file(uint64_t bytes) {
  char name[] = "/tmp/liar-XXXXXX";
  UniqueFd fd(::mkostemp(name, O_CLOEXEC));
  ::unlink(name);
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) __builtin_trap();
  return fd;
}

}  // namespace

Opening::Opening(std::vector<std::string> devices)
    : devices_(std::move(devices)), ring_(memory(protocol::RingMemory::kBytes, MFD_ALLOW_SEALING, kSealed)),
      heap_(memory(Worker::kHeapBytes, MFD_ALLOW_SEALING, kSealed)),
      grants_(memory(sizeof(model::Grants), MFD_ALLOW_SEALING, kSealed)), knock_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) __builtin_trap();
  if (::fcntl(knock_.get(), F_SETSIG, protocol::kKnockMark) != 0) __builtin_trap();
  client_end_.reset(ends[0]);
  worker_end_.reset(ends[1]);
  const uint64_t magic = protocol::RingMemory::kMagic;
  const uint32_t version = protocol::kWireVersion;
  if (::pwrite(ring_.get(), &magic, sizeof magic, offsetof(protocol::RingMemory, magic)) < 0) __builtin_trap();
  if (::pwrite(ring_.get(), &version, sizeof version, offsetof(protocol::RingMemory, version)) < 0) __builtin_trap();
}

bool Opening::send(int guest, Choices* lies) {
  protocol::SessionOpened opened;
  opened.session = 1;
  opened.heap_bytes = Worker::kHeapBytes;
  opened.devices = devices_;
  std::vector<int> fds = {client_end_.get(), ring_.get(), heap_.get(), grants_.get(), knock_.get()};
  if (lies == nullptr) return send_packet(guest, opened, fds, nullptr);
  Choices* garbled = nullptr;
  switch (lies->below(8)) {
    case 0: garbled = lies; break;
    case 1: opened.heap_bytes = lies->edge(Worker::kHeapBytes); break;
    case 2: opened.devices.resize(lies->below(256), "liar:0"); break;
    case 3: spoil_memory(*lies); break;
    default: spoil_descriptor(*lies, fds); break;
  }
  bool sent = send_packet(guest, opened, fds, garbled);
  for (const UniqueFd& other : others_) (void)!::ftruncate(other.get(), 0);  // those that let one
  return sent;
}

void Opening::spoil_memory(Choices& lies) {
  const uint64_t value = lies.edge(Worker::kHeapBytes) + lies.below(16);
  const size_t places[] = {offsetof(protocol::RingMemory, magic),
                           offsetof(protocol::RingMemory, version),
                           offsetof(protocol::RingMemory, command) + offsetof(protocol::RingControl, head),
                           offsetof(protocol::RingMemory, command) + offsetof(protocol::RingControl, tail),
                           offsetof(protocol::RingMemory, completion) + offsetof(protocol::RingControl, head),
                           offsetof(protocol::RingMemory, completion) + offsetof(protocol::RingControl, tail),
                           offsetof(protocol::RingMemory, completion) + offsetof(protocol::RingControl, sleeping)};
  for (uint64_t i = 0; i <= lies.below(3); ++i)
    if (::pwrite(ring_.get(), &value, sizeof value, static_cast<off_t>(places[lies.below(std::size(places))])) < 0)
      __builtin_trap();
}

UniqueFd Opening::other_descriptor(Choices& lies, uint64_t bytes) {
  switch (lies.below(14)) {
    case 0: return memory(bytes, MFD_ALLOW_SEALING, 0);
    case 1: return memory(bytes, 0, 0);
    case 2: return memory(bytes / 2, MFD_ALLOW_SEALING, kSealed);
    case 3: return memory(0, MFD_ALLOW_SEALING, kSealed);
    case 4: return memory(bytes, MFD_ALLOW_SEALING, F_SEAL_GROW);
    case 5: return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    case 6: return broken_pipe();
    case 7: return full_eventfd();
    case 8: return UniqueFd(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    case 9: return file(bytes);
    case 10: return UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    case 11: return UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    case 12: return memory(bytes, MFD_ALLOW_SEALING | MFD_HUGETLB, 0);
    default: return UniqueFd(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  }
}

void Opening::spoil_descriptor(Choices& lies, std::vector<int>& fds) {
  const uint64_t sizes[] = {4096, protocol::RingMemory::kBytes, Worker::kHeapBytes, sizeof(model::Grants), 4096};
  const size_t which = lies.below(fds.size());
  switch (lies.below(8)) {
    case 0: return fds.pop_back();
    case 1: return fds.push_back(fds[which]);
    case 2: return std::swap(fds[which], fds[lies.below(fds.size())]);
    default: break;
  }
  UniqueFd other = other_descriptor(lies, sizes[which]);
  if (!other) return;
  fds[which] = other.get();
  others_.push_back(std::move(other));
}

bool send_bytes(int socket, protocol::ControlType type, std::vector<std::byte> fields, std::span<const int> fds) {
  std::vector<std::byte> packet(protocol::kHeadBytes + fields.size());
  std::memcpy(packet.data(), &type, sizeof type);
  if (!fields.empty()) std::memcpy(packet.data() + protocol::kHeadBytes, fields.data(), fields.size());
  iovec part{packet.data(), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 16)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  protocol::attach(message, control, fds);
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

}  // namespace amalgam::liar
