// SPDX-License-Identifier: Apache-2.0
#include "north/cli/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/unique_fd.h"

namespace amalgam::cli {
namespace {

constexpr int kForwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

/// Blocks what we forward, and SIGCHLD, for as long as it lives.
class Blocked {
 public:
  Blocked() {
    ::sigemptyset(&set_);
    ::sigaddset(&set_, SIGCHLD);
    for (int signal : kForwarded) ::sigaddset(&set_, signal);
    ::sigprocmask(SIG_BLOCK, &set_, &before_);
  }
  ~Blocked() { restore(); }
  Blocked(const Blocked&) = delete;
  Blocked& operator=(const Blocked&) = delete;
  const sigset_t* set() const { return &set_; }
  void restore() const { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t set_{}, before_{};
};

/// What the child says of itself before it ends early: who failed, and why.
struct Report {
  enum class Of : uint8_t { kPreparation, kProgram } of = Of::kProgram;
  Code code = Code::kOk;
  char text[500] = {};  ///< small enough to go into a pipe as one
};

void send_report(int to, Report::Of of, Code code, const std::string& text) {
  Report report{of, code};
  text.copy(report.text, sizeof report.text - 1);
  [[maybe_unused]] ssize_t written = ::write(to, &report, sizeof report);
}

[[noreturn]] void execute(const std::vector<std::string>& words, const std::vector<Setting>& settings,
                          const Preparation& prepare, int report) {
  if (auto prepared = prepare ? prepare() : Result<void>(); !prepared) {
    send_report(report, Report::Of::kPreparation, prepared.error().code, prepared.error().message);
    ::_exit(kOwnFailure);
  }
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  for (const Setting& setting : settings) {
    if (setting.remove) {
      ::unsetenv(setting.name.c_str());
    } else {
      ::setenv(setting.name.c_str(), setting.value.c_str(), 1);
    }
  }
  ::execvp(argv[0], argv.data());
  int problem = errno;
  send_report(report, Report::Of::kProgram, Code::kNotFound, words[0] + ": " + std::strerror(problem));
  ::_exit(problem == ENOENT ? kNoSuchProgram : kCannotExecute);
}

int wait_forwarding(pid_t child, const sigset_t* set) {
  for (;;) {
    int status = 0;
    pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    siginfo_t info{};
    int signal = ::sigwaitinfo(set, &info);
    // What the kernel sent (the terminal's keys, its size, its end) went to the whole group.
    if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL) ::kill(child, signal);
  }
}

}  // namespace

Result<Ended> run_child(const std::vector<std::string>& argv, const std::vector<Setting>& settings,
                        const Preparation& prepare) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(system_error("pipe", errno));
  UniqueFd reader(ends[0]), writer(ends[1]);
  ::signal(SIGCHLD, SIG_DFL);  // ignored, it would take the status away
  Blocked blocked;
  pid_t child = ::fork();
  if (child < 0) return fail(system_error("fork", errno));
  if (child == 0) {
    blocked.restore();
    execute(argv, settings, prepare, writer.get());
  }
  writer.reset();
  Report report;
  ssize_t got;
  do {
    got = ::read(reader.get(), &report, sizeof report);
  } while (got < 0 && errno == EINTR);
  const bool failed = got == sizeof report;
  Ended ended;
  ended.status = wait_forwarding(child, blocked.set());
  if (failed && report.of == Report::Of::kPreparation) return fail(report.code, report.text);
  if (failed) ended.problem = report.text;
  return ended;
}

}  // namespace amalgam::cli
