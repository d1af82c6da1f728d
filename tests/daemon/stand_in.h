// SPDX-License-Identifier: Apache-2.0
// StandIn: a process that stands for a worker in tests, with the pages of its session.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "base/unique_fd.h"
#include "daemon/turns/contenders.h"

namespace amalgam::daemon {

/// A guardian of its own, in a temporary folder.
struct TestGuardian {
  TestGuardian() { EXPECT_TRUE(guardian.take_over()); }
  ~TestGuardian() { std::filesystem::remove_all(folder); }
  static std::filesystem::path make_folder() {
    char name[] = "/tmp/amalgam-guardian-XXXXXX";
    return ::mkdtemp(name);
  }
  operator Guardian&() { return guardian; }
  std::filesystem::path folder = make_folder();
  Guardian guardian{folder / "guardian"};
};

struct StandIn {
  /// `computes`: it does nothing else.
  StandIn(uint64_t id, core::SliceId of, bool computes = false) : session(id), slice(of), pid(::fork()) {
    if (pid == 0) {
      for (volatile bool turns = computes; turns;) {
      }
      for (;;) ::pause();
    }
    ::setpgid(pid, pid);  // as a worker, it leads a group
    pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  }
  ~StandIn() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  /// Stopping takes a moment; what is not stopped after a while never is.
  bool is_stopped() const {
    for (int i = 0; i < 50; ++i) {
      siginfo_t info{};
      if (::waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
        return true;
      ::usleep(1000);
    }
    return false;
  }
  Contender contender(uint32_t device = 0) {
    Contender contender;
    contender.session = session;
    contender.slice = slice;
    contender.indices = {device};
    contender.counters = counters.get();
    contender.grants = grants.get();
    contender.pid = pid;
    contender.pidfd = pidfd.get();
    return contender;
  }
  /// Has a contender and a grant from now on.
  void sit(Contenders& contenders, uint32_t device = 0) { contenders.add(contender(device), true, 0); }
  bool may_go(uint32_t device = 0) const { return grants->devices[device].granted == 1; }
  void begin(uint32_t device = 0) { ++counters->claims[device].in_flight; }
  void end(uint32_t device = 0) { --counters->claims[device].in_flight; }

  uint64_t session;
  core::SliceId slice;
  std::unique_ptr<model::Counters> counters = std::make_unique<model::Counters>();
  std::unique_ptr<model::Grants> grants = std::make_unique<model::Grants>();
  pid_t pid;
  UniqueFd pidfd;
};

}  // namespace amalgam::daemon
