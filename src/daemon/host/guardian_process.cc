// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/guardian_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/limits.h"
#include "model/grants.h"
#include "protocol/control/attach.h"
#include "protocol/control/keep.h"
#include "protocol/link/ring.h"

namespace amalgam::daemon {
namespace {

using protocol::ControlType;

constexpr size_t kEnds = 10;
constexpr size_t kWorker = 0, kGrants = 4, kClient = 7;  // in the order of Keep::Descriptors

/// Head and fields of Keep, Forget and Done, as Channel sends them.
struct Packet {
  uint16_t type = 0, reserved = 0;
  uint32_t reserved2 = 0;
  uint64_t session = 0;
  uint64_t heap_bytes = 0;
  uint64_t outlives_worker = 0;
};

struct Ward {
  uint64_t session, heap_bytes, outlives_worker;
  int ends[kEnds];
};

struct Incoming {
  bool over = false;  ///< the other end is gone
  Packet packet;
  size_t fds = 0;
  int ends[kMaxControlFds];
};

Incoming receive(int socket) {
  Incoming in;
  iovec data{&in.packet, sizeof in.packet};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int) * kMaxControlFds)];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  in.over = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  if (got <= 0) return in;
  if (const cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr && head->cmsg_type == SCM_RIGHTS) {
    in.fds = std::min<size_t>((head->cmsg_len - CMSG_LEN(0)) / sizeof(int), kMaxControlFds);
    std::memcpy(in.ends, CMSG_DATA(head), in.fds * sizeof(int));
  }
  return in;
}

bool send(int socket, const Packet& packet, const int* ends, size_t count) {
  iovec data{const_cast<Packet*>(&packet), sizeof packet};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int) * kEnds)] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  protocol::attach(message, room, {ends, count});
  ssize_t sent;
  do sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

/// The sessions that it keeps.
class Wards {
 public:
  void add(const Packet& packet, const int* ends) {
    remove(packet.session);
    if (count_ == kMaxSessions) {
      for (size_t i = 0; i < kEnds; ++i) ::close(ends[i]);
      return;
    }
    Ward& ward = wards_[count_++];
    ward.session = packet.session;
    ward.heap_bytes = packet.heap_bytes;
    ward.outlives_worker = packet.outlives_worker;
    std::memcpy(ward.ends, ends, sizeof ward.ends);
  }
  void remove(uint64_t session) {
    for (size_t i = 0; i < count_; ++i)
      if (wards_[i].session == session) return drop(i);
  }
  size_t count() const { return count_; }

  /// Nobody governs them any more: each may use all of its devices, and none stands still.
  void free_all() const {
    for (size_t i = 0; i < count_; ++i) {
      void* memory = ::mmap(nullptr, sizeof(model::Grants), PROT_READ | PROT_WRITE, MAP_SHARED, wards_[i].ends[kGrants], 0);
      if (memory != MAP_FAILED) {
        for (auto& device : static_cast<model::Grants*>(memory)->devices) {
          device.granted.store(1, std::memory_order_seq_cst);
          protocol::futex_wake_all(&device.granted);
        }
        ::munmap(memory, sizeof(model::Grants));
      }
      constexpr unsigned kWholeGroup = 1U << 2;  // PIDFD_SIGNAL_PROCESS_GROUP
      const int worker = wards_[i].ends[kWorker];
      ::syscall(SYS_pidfd_send_signal, worker, SIGCONT, nullptr, 0);
      ::syscall(SYS_pidfd_send_signal, worker, SIGCONT, nullptr, kWholeGroup);
    }
  }
  /// To a daemon that takes over. False: it is gone.
  bool show(int daemon) const {
    for (size_t i = 0; i < count_; ++i) {
      const Ward& ward = wards_[i];
      const Packet keep{
          static_cast<uint16_t>(ControlType::kKeep), 0, 0, ward.session, ward.heap_bytes, ward.outlives_worker};
      if (!send(daemon, keep, ward.ends, kEnds)) return false;
    }
    return send(daemon, {static_cast<uint16_t>(ControlType::kDone), 0, 0, 0, 0, 0}, nullptr, 0);
  }
  /// Fills in who may end; `wards` are in the same order.
  size_t watch(pollfd* polled) const {
    constexpr short kOnlyHangUp = 0;
    for (size_t i = 0; i < count_; ++i) {
      const Ward& ward = wards_[i];
      polled[i] =
          ward.outlives_worker != 0 ? pollfd{ward.ends[kClient], kOnlyHangUp, 0} : pollfd{ward.ends[kWorker], POLLIN, 0};
    }
    return count_;
  }
  void drop_ended(const pollfd* polled) {
    for (size_t i = count_; i > 0; --i)
      if (polled[i - 1].revents != 0) drop(i - 1);
  }

 private:
  void drop(size_t index) {
    for (int fd : wards_[index].ends) ::close(fd);
    wards_[index] = wards_[--count_];
  }
  Ward wards_[kMaxSessions];
  size_t count_ = 0;
};

void take(Wards& wards, const Incoming& in) {
  const auto type = static_cast<ControlType>(in.packet.type);
  if (type == ControlType::kKeep && in.fds == kEnds) return wards.add(in.packet, in.ends);
  if (type == ControlType::kForget) wards.remove(in.packet.session);
  for (size_t i = 0; i < in.fds; ++i) ::close(in.ends[i]);
}

/// A daemon that takes over; -1 if it is somebody else.
int accept_daemon(int listener) {
  int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return -1;
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid()) return fd;
  ::close(fd);
  return -1;
}

/// While there is no daemon. Returns the socket to the next one; does not return if there is nothing left to keep.
int wait_for_daemon(Wards& wards, int listener) {
  static pollfd polled[kMaxSessions + 1];
  wards.free_all();
  for (;;) {
    if (wards.count() == 0) ::_exit(0);
    polled[0] = {listener, POLLIN, 0};
    const size_t count = wards.watch(polled + 1);
    if (::poll(polled, count + 1, -1) < 0 && errno != EINTR) ::_exit(1);
    wards.drop_ended(polled + 1);
    if (polled[0].revents == 0) continue;
    int daemon = accept_daemon(listener);
    if (daemon < 0) continue;
    if (wards.show(daemon)) return daemon;
    ::close(daemon);
  }
}

/// Nothing of the daemon's but the two sockets: whoever waits for the end of a descriptor should not wait for us.
void keep_only(int& daemon, int& listener) {
  constexpr int kDaemon = 3, kListener = 4;
  // Out of the way of each other first.
  daemon = ::fcntl(daemon, F_DUPFD_CLOEXEC, 16);
  if (listener >= 0) listener = ::fcntl(listener, F_DUPFD_CLOEXEC, 16);
  ::dup2(daemon, kDaemon);
  if (listener >= 0) ::dup2(listener, kListener);
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd : {0, 1, 2}) ::dup2(null, fd);
  const unsigned first = listener >= 0 ? kListener + 1 : kListener;
  ::syscall(SYS_close_range, first, ~0U, 0);
  daemon = kDaemon;
  if (listener >= 0) listener = kListener;
}

}  // namespace

void guard(int daemon, int listener) {
  ::setsid();
  ::prctl(PR_SET_NAME, "amalgam-guard");
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::signal(number, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  keep_only(daemon, listener);
  static Wards wards;
  for (;;) {
    pollfd polled{daemon, POLLIN, 0};
    if (::poll(&polled, 1, -1) < 0 && errno != EINTR) ::_exit(1);
    Incoming in = receive(daemon);
    if (!in.over) {
      take(wards, in);
      continue;
    }
    ::close(daemon);
    daemon = wait_for_daemon(wards, listener);
  }
}

}  // namespace amalgam::daemon
