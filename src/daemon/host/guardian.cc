// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/guardian.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/limits.h"
#include "protocol/control/control.h"

namespace amalgam::daemon {
namespace {

/// Whoever is frozen. No allocation: the process was forked, and its heap is a copy that nobody looks after.
class Wards {
 public:
  void add(int pidfd) {
    if (count_ == kMaxSessions) sweep();
    if (count_ == kMaxSessions) {
      ::close(pidfd);
      return;
    }
    pidfds_[count_++] = pidfd;
  }
  void thaw_all() const {
    for (size_t i = 0; i < count_; ++i) ::syscall(SYS_pidfd_send_signal, pidfds_[i], SIGCONT, nullptr, 0);
  }

 private:
  /// Forgets those that have ended.
  void sweep() {
    size_t kept = 0;
    for (size_t i = 0; i < count_; ++i) {
      pollfd ended{pidfds_[i], POLLIN, 0};
      if (::poll(&ended, 1, 0) > 0)
        ::close(pidfds_[i]);
      else
        pidfds_[kept++] = pidfds_[i];
    }
    count_ = kept;
  }
  int pidfds_[kMaxSessions];
  size_t count_ = 0;
};

/// The next descriptor from the socket, -1 if the other end is gone.
int receive(int socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))];
  for (;;) {
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = sizeof room;
    ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    const cmsghdr* head = CMSG_FIRSTHDR(&message);
    if (head == nullptr || head->cmsg_type != SCM_RIGHTS) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
    return fd;
  }
}

[[noreturn]] void guard(int socket) {
  ::setsid();
  ::prctl(PR_SET_NAME, "amalgam-guard");
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::signal(number, SIG_IGN);
  // Nobody who reads the daemon's output should wait for us.
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd : {0, 1, 2}) ::dup2(null, fd);
  static Wards wards;
  for (int fd = receive(socket); fd >= 0; fd = receive(socket)) wards.add(fd);
  wards.thaw_all();
  ::_exit(0);
}

}  // namespace

Result<Guardian> Guardian::start() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail(system_error("guardian", errno));
  Guardian guardian;
  guardian.channel_ = protocol::Channel(UniqueFd(ends[0]));
  UniqueFd theirs(ends[1]);
  // Forked twice: the guardian is nobody's child, so nobody has to wait for it.
  pid_t child = ::fork();
  if (child < 0) return fail(system_error("start the guardian", errno));
  if (child == 0) {
    guardian.channel_ = protocol::Channel();
    if (::fork() == 0) guard(theirs.get());
    ::_exit(0);
  }
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return guardian;
}

bool Guardian::watch(int pidfd) { return channel_.send_with(protocol::Keep{}, {.process = pidfd}, 0).has_value(); }

bool Guardian::alive() const {
  pollfd peer{channel_.fd(), 0, 0};
  return ::poll(&peer, 1, 0) == 0;
}

}  // namespace amalgam::daemon
