// SPDX-License-Identifier: Apache-2.0
// Stranger: a process of another user that serves a socket where ours might be sought, for tests of who is believed. Only
// root can make one.
//
// Threads: one; make it before any other thread is there, since it forks.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"

namespace amalgam::protocol {

class Stranger {
 public:
  static constexpr uid_t kUid = 54321;  ///< nobody's, on most machines
  static bool possible() { return ::geteuid() == 0; }

  /// Listens at `path` when it returns.
  explicit Stranger(const std::string& path) {
    int ends[2];
    if (::pipe(ends) != 0) return;
    UniqueFd reader(ends[0]), writer(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) serve(path, writer.get());
    writer.reset();
    char listens = 0;
    listening_ = ::read(reader.get(), &listens, 1) == 1;
  }
  ~Stranger() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  bool listening() const { return listening_; }
  /// Whether the one who connected has said anything before hanging up. Once only.
  bool has_heard() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status) != kSilence;
  }

 private:
  static constexpr int kSilence = 0, kWords = 1, kBroken = 2;

  [[noreturn]] static void serve(const std::string& path, int ready) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    int listener = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ::_exit(kBroken);
    // The kernel notes who listens, not who bound.
    if (::chmod(path.c_str(), 0777) != 0 || ::setgid(kUid) != 0 || ::setuid(kUid) != 0) ::_exit(kBroken);
    if (::listen(listener, 4) != 0 || ::write(ready, "l", 1) != 1) ::_exit(kBroken);
    int guest = ::accept(listener, nullptr, nullptr);
    char word = 0;
    ::_exit(guest >= 0 && ::recv(guest, &word, 1, 0) <= 0 ? kSilence : kWords);
  }

  pid_t pid_ = 0;
  bool listening_ = false;
};

}  // namespace amalgam::protocol
