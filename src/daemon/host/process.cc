// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

#include "base/proc_stat.h"
#include "model/confinement.h"

namespace amalgam::daemon {
namespace {

constexpr int kChannelFd = 3;
constexpr int kPeerPidFd = 77;             // SO_PEERPIDFD, Linux 6.5; not in this system's headers
constexpr unsigned kWholeGroup = 1U << 2;  // PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9; likewise
constexpr size_t kStackBytes = 64 * 1024;

std::vector<char*> pointers(const std::vector<std::string>& strings, const std::string* first) {
  std::vector<char*> out;
  if (first != nullptr) out.push_back(const_cast<char*>(first->c_str()));
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

/// What the child is given, and where it says what failed: the memory is ours.
struct Start {
  const Launch* launch = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  char user_map[32], group_map[32];
  volatile int failed = 0;
};

bool write_file(const char* path, const char* text) {
  int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool written = ::write(fd, text, std::strlen(text)) == static_cast<ssize_t>(std::strlen(text));
  ::close(fd);
  return written;
}

/// Its own user becomes root of a new name space of users: nobody else is in it.
bool map_users(const Start& start) {
  return write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", start.user_map) &&
         write_file("/proc/self/gid_map", start.group_map);
}

bool place_descriptors(const Launch& launch) {
  int null = ::open("/dev/null", O_RDONLY);
  int errors = launch.errors < 0 ? STDERR_FILENO : launch.errors;
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(errors, STDERR_FILENO) < 0 ||
      ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
    return false;
  bool placed =
      launch.channel == kChannelFd ? ::fcntl(kChannelFd, F_SETFD, 0) == 0 : ::dup2(launch.channel, kChannelFd) >= 0;
  return placed && ::syscall(SYS_close_range, kChannelFd + 1, ~0U, 0) == 0;
}

/// In the child, on our memory and a stack of its own: system calls only.
int become(void* argument) {
  Start& start = *static_cast<Start*>(argument);
  const Launch& launch = *start.launch;
  ::syscall(SYS_setsid);
  bool ok = (launch.spaces & model::kOwnUsers) == 0 || map_users(start);
  ok = ok && place_descriptors(launch);
  if (launch.open_files != 0) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(launch.open_files, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (ok) ::execve(start.argv[0], start.argv, start.envp);
  start.failed = errno;
  ::_exit(127);
}

int clone_flags(uint32_t spaces) {
  int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
  if ((spaces & model::kOwnMounts) != 0) flags |= CLONE_NEWNS;
  if ((spaces & model::kOwnProcesses) != 0) flags |= CLONE_NEWPID;
  if ((spaces & model::kOwnIpc) != 0) flags |= CLONE_NEWIPC;
  if ((spaces & model::kOwnNetwork) != 0) flags |= CLONE_NEWNET;
  if ((spaces & model::kOwnUsers) != 0) flags |= CLONE_NEWUSER;
  return flags;
}

}  // namespace

uint64_t start_time_of(pid_t pid) {
  constexpr size_t kState = 0, kThreads = 20 - 3, kStartTime = 22 - 3;
  const std::vector<std::string> fields = stat_fields("/proc/" + std::to_string(pid));
  if (fields.size() <= kStartTime || fields[kState] == "X") return 0;
  // A process whose first thread has ended is shown as a zombie, and its other threads run.
  if (fields[kState] == "Z" && fields[kThreads] == "1") return 0;
  return std::strtoull(fields[kStartTime].c_str(), nullptr, 10);
}

uint64_t image_of(pid_t pid) {
  constexpr size_t kStartCode = 26 - 3, kStartStack = 28 - 3;
  const std::vector<std::string> fields = stat_fields("/proc/" + std::to_string(pid));
  if (fields.size() <= kStartStack) return 0;
  return std::strtoull(fields[kStartCode].c_str(), nullptr, 10) ^ std::strtoull(fields[kStartStack].c_str(), nullptr, 10)
                                                                      << 1;
}

Result<Process> spawn(const Launch& launch) {
  std::vector<char*> argv = pointers(launch.arguments, &launch.program);
  std::vector<char*> envp = pointers(launch.environment, nullptr);
  Start start;
  start.launch = &launch;
  start.argv = argv.data();
  start.envp = envp.data();
  std::snprintf(start.user_map, sizeof start.user_map, "0 %u 1", ::geteuid());
  std::snprintf(start.group_map, sizeof start.group_map, "0 %u 1", ::getegid());
  auto stack = std::make_unique_for_overwrite<std::byte[]>(kStackBytes);
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  // As vfork, but with a stack of its own: no copy of our page tables, and `start` is ours.
  int pidfd = -1;
  pid_t pid = ::clone(become, stack.get() + kStackBytes, clone_flags(launch.spaces), &start, &pidfd);
  int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return fail(system_error("start " + launch.program, error));
  Process process;
  process.pid = pid;
  process.pidfd.reset(pidfd);
  if (start.failed != 0) {
    ::waitpid(pid, nullptr, 0);
    return fail(system_error("start " + launch.program, start.failed));
  }
  process.start_time = start_time_of(pid);
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
  process.image = image_of(pid);
  return process;
}

pid_t pid_of(int pidfd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(pidfd));
  constexpr std::string_view kKey = "Pid:";
  for (std::string line; std::getline(info, line);)
    if (line.starts_with(kKey)) return std::max(0, std::atoi(line.c_str() + kKey.size()));
  return 0;
}

void signal_process(const Process& process, int number) {
  if (process.pidfd) ::syscall(SYS_pidfd_send_signal, process.pidfd.get(), number, nullptr, 0);
}

bool signal_group(int pidfd, pid_t pid, int number) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, kWholeGroup) == 0) return true;
  if (errno != EINVAL) return false;
  // Kernels before 6.9: by number, if the process is there, or has ended and still holds it.
  return ::syscall(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0) == 0 && ::kill(-pid, number) == 0;
}

void signal_group(const Process& process, int number) {
  if (process.pidfd && process.pid > 1) signal_group(process.pidfd.get(), process.pid, number);
}

clockid_t process_clock(pid_t pid) {
  constexpr unsigned kScheduled = 2;  // as clock_getcpuclockid() makes it, which would ask whether the process is there
  return static_cast<clockid_t>((~static_cast<unsigned>(pid) << 3) | kScheduled);
}

std::optional<uint64_t> process_time_ns(pid_t pid) {
  timespec used{};
  if (::clock_gettime(process_clock(pid), &used) != 0) return std::nullopt;
  return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(used.tv_nsec);
}

namespace {

/// Calls each(thread) for a process's threads, at most `most` of them.
template <typename Each>
void each_thread(pid_t pid, size_t most, Each each) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/task";
  std::unique_ptr<DIR, int (*)(DIR*)> threads(::opendir(folder.c_str()), &::closedir);
  if (threads == nullptr) return;
  for (size_t count = 0; count < most;) {
    const dirent* entry = ::readdir(threads.get());
    if (entry == nullptr) return;
    const pid_t thread = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (thread <= 0) continue;
    ++count;
    each(thread, folder + "/" + entry->d_name);
  }
}

}  // namespace

std::map<pid_t, pid_t> threads_of(pid_t pid) {
  constexpr size_t kMost = 256;
  std::map<pid_t, pid_t> found;
  each_thread(pid, kMost, [&](pid_t thread, const std::string& folder) {
    std::ifstream status(folder + "/status");
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with("NSpid:")) continue;
      const size_t last = line.find_last_of(" \t");
      found.emplace(static_cast<pid_t>(std::strtol(line.c_str() + last + 1, nullptr, 10)), thread);
      return;
    }
  });
  return found;
}

std::string reap(const Process& process, int* number) {
  // A zombie leader still holds its group's number, so this cannot hit anybody else.
  signal_group(process, SIGKILL);
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(process.pidfd.get()), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
    return {};
  if (info.si_code == CLD_EXITED) return "exit status " + std::to_string(info.si_status);
  if (number != nullptr) *number = info.si_status;
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
    process.image = image_of(pid);
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
