// SPDX-License-Identifier: Apache-2.0
#include "worker/process_setup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace amalgam::worker {

void settle_process() {
  ::syscall(SYS_close_range, kDaemonFd + 1, ~0u, 0);
  ::fcntl(kDaemonFd, F_SETFD, FD_CLOEXEC);
  ::prctl(PR_SET_NAME, "amalgam-worker");
  ::prctl(PR_SET_DUMPABLE, 0);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  if (int nowhere = ::open("/dev/null", O_RDWR); nowhere >= 0) {
    ::dup2(nowhere, STDIN_FILENO);
    // A daemon without standard streams must not make us write into the next file that is opened.
    for (int fd : {STDOUT_FILENO, STDERR_FILENO})
      if (::fcntl(fd, F_GETFD) < 0) ::dup2(nowhere, fd);
    if (nowhere > STDERR_FILENO) ::close(nowhere);
  }
}

Result<UniqueFd> capture_output() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(system_error("pipe", errno));
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  if (::fcntl(read_end.get(), F_SETFL, O_NONBLOCK) != 0) return fail(system_error("pipe", errno));
  if (::dup2(write_end.get(), STDOUT_FILENO) < 0) return fail(system_error("dup2", errno));
  ::setvbuf(stdout, nullptr, _IONBF, 0);  // a driver that uses stdio must not keep text back beyond a command's end
  return read_end;
}

}  // namespace amalgam::worker
