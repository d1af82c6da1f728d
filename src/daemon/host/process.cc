// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/proc_stat.h"

namespace amalgam::daemon {
namespace {

constexpr int kChannelFd = 3;
constexpr int kPeerPidFd = 77;  // SO_PEERPIDFD, Linux 6.5; not in this system's headers

std::vector<char*> pointers(const std::vector<std::string>& strings, const std::string* first) {
  std::vector<char*> out;
  if (first != nullptr) out.push_back(const_cast<char*>(first->c_str()));
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

/// In the child of vfork, on the parent's memory: system calls only, and those raw that libc would spread to our threads.
[[noreturn]] void become(const Launch& launch, char* const argv[], char* const envp[], volatile int& failed) {
  ::syscall(SYS_setsid);
  int null = ::open("/dev/null", O_RDONLY);
  bool ok = null >= 0 && ::dup2(null, STDIN_FILENO) >= 0 && ::dup2(STDERR_FILENO, STDOUT_FILENO) >= 0;
  if (launch.channel == kChannelFd) {
    ok = ok && ::fcntl(kChannelFd, F_SETFD, 0) == 0;
  } else {
    ok = ok && ::dup2(launch.channel, kChannelFd) >= 0;
  }
  ok = ok && ::syscall(SYS_close_range, kChannelFd + 1, ~0U, 0) == 0;
  if (launch.open_files != 0) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(launch.open_files, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (launch.identity) {
    auto [uid, gid] = *launch.identity;
    ok = ok && ::syscall(SYS_setgroups, 0, nullptr) == 0 && ::syscall(SYS_setresgid, gid, gid, gid) == 0 &&
         ::syscall(SYS_setresuid, uid, uid, uid) == 0;
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (ok) ::execve(argv[0], argv, envp);
  failed = errno;
  ::_exit(127);
}

}  // namespace

uint64_t start_time_of(pid_t pid) {
  constexpr size_t kState = 0, kStartTime = 22 - 3;
  const std::vector<std::string> fields = stat_fields("/proc/" + std::to_string(pid));
  if (fields.size() <= kStartTime || fields[kState] == "Z" || fields[kState] == "X") return 0;
  return std::strtoull(fields[kStartTime].c_str(), nullptr, 10);
}

Result<Process> spawn(const Launch& launch) {
  std::vector<char*> argv = pointers(launch.arguments, &launch.program);
  std::vector<char*> envp = pointers(launch.environment, nullptr);
  volatile int failed = 0;
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  // vfork: no copy of our page tables, and `failed` is the parent's own variable.
  pid_t pid = ::vfork();
  if (pid == 0) become(launch, argv.data(), envp.data(), failed);
  int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return fail(system_error("start " + launch.program, error));
  if (failed != 0) {
    ::waitpid(pid, nullptr, 0);
    return fail(system_error("start " + launch.program, failed));
  }
  Process process;
  process.pid = pid;
  process.start_time = start_time_of(pid);
  process.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.pidfd) {
    error = errno;
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail(system_error("watch " + launch.program, error));
  }
  return process;
}

Result<Process> find_process(pid_t pid, uint64_t start_time) {
  if (pid <= 0) return fail(Code::kNotFound, "no process");
  Process process;
  process.pid = pid;
  process.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.pidfd) return fail(Code::kNotFound, "process " + std::to_string(pid) + " is gone");
  // Read after the pidfd is open: from here on the pid cannot change hands unseen.
  process.start_time = start_time_of(pid);
  if (process.start_time == 0 || (start_time != 0 && process.start_time != start_time))
    return fail(Code::kNotFound, "process " + std::to_string(pid) + " is gone");
  return process;
}

void signal_process(const Process& process, int number) {
  if (process.pidfd) ::syscall(SYS_pidfd_send_signal, process.pidfd.get(), number, nullptr, 0);
}

void signal_group(const Process& process, int number) {
  // A process with our pid and another start time means that the group is gone and its number used again.
  uint64_t now = start_time_of(process.pid);
  if (process.pid <= 1 || (now != 0 && now != process.start_time)) return;
  ::kill(-process.pid, number);
}

std::string reap(const Process& process) {
  // A zombie leader still holds its group's number, so this cannot hit anybody else.
  signal_group(process, SIGKILL);
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(process.pidfd.get()), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
    return {};
  if (info.si_code == CLD_EXITED) return "exit status " + std::to_string(info.si_status);
  return "signal " + std::to_string(info.si_status) + " (" + ::strsignal(info.si_status) + ")";
}

Result<Process> peer_process(int socket, pid_t pid) {
  int fd = -1;
  socklen_t size = sizeof fd;
  if (::getsockopt(socket, SOL_SOCKET, kPeerPidFd, &fd, &size) == 0) {
    Process process;
    process.pid = pid;
    process.pidfd.reset(fd);
    process.start_time = start_time_of(pid);
    return process;
  }
  return find_process(pid, 0);
}

std::vector<gid_t> peer_groups(int socket, gid_t gid) {
  std::vector<gid_t> groups(64);
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    bool fits = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0;
    bool again = !fits && errno == ERANGE;  // then `size` says what it takes
    groups.resize(fits || again ? size / sizeof(gid_t) : 0);
    if (!again) break;
  }
  groups.insert(groups.begin(), gid);
  return groups;
}

}  // namespace amalgam::daemon
