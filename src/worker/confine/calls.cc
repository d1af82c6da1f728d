// SPDX-License-Identifier: Apache-2.0
#include "worker/confine/calls.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace amalgam::worker {
namespace {

/// Whatever their arguments.
constexpr const char* kListed[] = {
    // Its own memory.
    "brk", "mmap", "memfd_create", "mprotect", "munmap", "mremap", "madvise", "mincore", "msync", "mlock", "mlock2",
    "munlock", "membarrier", "get_mempolicy", "set_mempolicy", "mbind", "pkey_alloc", "pkey_free", "pkey_mprotect",
    "map_shadow_stack",
    // Devices.
    "ioctl",
    // Files: what it can name is the new root's and Landlock's to say. Nothing of a file but its content and its name
    // can be changed: no owner, mode, time or attribute.
    "open", "openat", "openat2", "creat", "close", "close_range", "read", "write", "pread64", "pwrite64", "readv", "writev",
    "preadv", "pwritev", "preadv2", "pwritev2", "lseek", "stat", "fstat", "lstat", "newfstatat", "statx", "statfs",
    "fstatfs", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents", "getdents64", "getcwd", "chdir",
    "fchdir", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat",
    "symlink", "symlinkat", "truncate", "ftruncate", "fallocate", "fsync", "fdatasync", "sync_file_range", "fadvise64",
    "readahead", "copy_file_range", "sendfile", "flock", "umask", "dup", "dup2", "dup3", "pipe", "pipe2",
    // Waiting.
    "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
    "epoll_pwait2", "eventfd", "eventfd2", "timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd", "signalfd4",
    "nanosleep", "clock_nanosleep", "pause", "restart_syscall",
    // Time, and what the machine is.
    "clock_gettime", "clock_getres", "gettimeofday", "time", "times", "getrusage", "uname", "sysinfo", "getrandom", "getcpu",
    // Threads and helpers of its own.
    "futex", "futex_waitv", "futex_wake", "futex_wait", "futex_requeue", "set_robust_list", "get_robust_list", "rseq",
    "set_tid_address", "gettid", "getpid", "getppid", "getpgrp", "getpgid", "getsid", "sched_yield", "sched_getaffinity",
    "sched_getparam", "sched_getscheduler", "sched_getattr", "sched_get_priority_max", "sched_get_priority_min",
    "sched_rr_get_interval", "getpriority", "arch_prctl", "fork", "vfork", "execve", "execveat", "wait4", "waitid", "exit",
    "exit_group", "getrlimit", "setrlimit",
    // Signals within.
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait", "sigaltstack",
    // Who it is.
    "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "capget",
    // The sockets that it was given. No sendmsg: nobody has to take, or to close, descriptors of a worker's.
    "sendto", "recvfrom", "recvmsg", "recvmmsg", "shutdown", "getsockopt", "getsockname", "getpeername"};

/// Those by which a thread places itself and the driver's threads. They name threads by number.
constexpr const char* kPlacing[] = {"sched_setaffinity", "sched_setscheduler", "sched_setparam"};

constexpr int kSpaces[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,    CLONE_NEWNET,
                           CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP, CLONE_PARENT};
constexpr int kSignalOfItsEnd = 0xff;  // the part of clone's flags that says which signal its end sends

/// Collects rules; the first error stays.
class Filter {
 public:
  explicit Filter(uint32_t otherwise) : context_(seccomp_init(otherwise)) {}
  ~Filter() { seccomp_release(context_); }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  template <typename... Tests>
  void allow(const char* name, Tests... tests) {
    add(SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(name), tests...);
  }
  template <typename... Tests>
  void answer(int error, const char* name, Tests... tests) {
    add(SCMP_ACT_ERRNO(static_cast<uint32_t>(error)), seccomp_syscall_resolve_name(name), tests...);
  }
  /// As on a kernel that does not have them: calls that are newer than the list.
  void deny_the_unknown() {
    constexpr int kNumbers = 512;
    for (int number = 0; number < kNumbers; ++number) {
      char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
      if (name == nullptr) add(SCMP_ACT_ERRNO(ENOSYS), number);
      ::free(name);
    }
  }
  Result<void> load() {
    if (context_ == nullptr) return fail(Code::kInternal, "seccomp: no filter");
    attribute(SCMP_FLTATR_CTL_TSYNC, 1);
    attribute(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);  // calls of another architecture would pass by the list
    constexpr uint32_t kBinaryTree = 2;
    (void)seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, kBinaryTree);
    if (error_ == 0) error_ = seccomp_load(context_);
    if (error_ != 0) return fail(system_error("seccomp", -error_));
    return {};
  }

 private:
  template <typename... Tests>
  void add(uint32_t action, int number, Tests... tests) {
    if (number == __NR_SCMP_ERROR || number < 0 || error_ != 0 || context_ == nullptr) return;
    error_ = seccomp_rule_add(context_, action, number, sizeof...(tests), tests...);
  }
  void attribute(scmp_filter_attr name, uint32_t value) {
    if (error_ == 0 && context_ != nullptr) error_ = seccomp_attr_set(context_, name, value);
  }
  scmp_filter_ctx context_;
  int error_ = 0;
};

scmp_datum_t bits(int value) { return static_cast<scmp_datum_t>(static_cast<unsigned>(value)); }

/// Threads and children of its own, in no other name space, whose end sends nothing but what a child's end sends.
void add_clone(Filter& filter) {
  scmp_datum_t refused = 0;
  for (int space : kSpaces) refused |= bits(space);
  for (int end : {0, SIGCHLD}) filter.allow("clone", SCMP_A0(SCMP_CMP_MASKED_EQ, refused | kSignalOfItsEnd, bits(end)));
  // Its flags lie in memory, where a filter cannot look; the C library falls back to clone.
  filter.answer(ENOSYS, "clone3");
}

/// To itself only: a signal to another could start it when it is stopped, or end it.
void add_signals(Filter& filter) {
  const auto self = static_cast<scmp_datum_t>(::getpid());
  filter.allow("kill", SCMP_A0(SCMP_CMP_EQ, self));
  filter.allow("tgkill", SCMP_A0(SCMP_CMP_EQ, self));
}

/// No owner, signal or lease of a file: a signal that the system sends on its own could start a stopped worker.
void add_descriptors(Filter& filter) {
  for (int command : {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK,
                      F_OFD_SETLK, F_OFD_SETLKW, F_GETPIPE_SZ, F_GET_SEALS, F_ADD_SEALS})
    filter.allow("fcntl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, bits(command)));
}

/// Devices have calls of their own, which no list can know; those that every descriptor has are refused by name.
void refuse_device_calls(Filter& filter) {
  for (unsigned long command :
       {static_cast<unsigned long>(FIOSETOWN), static_cast<unsigned long>(SIOCSPGRP), static_cast<unsigned long>(FIOASYNC),
        static_cast<unsigned long>(TIOCSTI), static_cast<unsigned long>(TIOCLINUX)})
    filter.answer(EPERM, "ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, command));
}

/// Names and questions. Not its core dumps, its tracers, its parent's death, its memory map.
void add_process_options(Filter& filter) {
  constexpr int kSetVma = 0x53564d41;  // names for anonymous memory
  for (int option : {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_SET_NO_NEW_PRIVS, PR_GET_SECCOMP,
                     PR_CAPBSET_READ, PR_GET_TIMERSLACK, PR_SET_TIMERSLACK, PR_GET_KEEPCAPS, PR_GET_SECUREBITS,
                     PR_GET_THP_DISABLE, PR_GET_TID_ADDRESS, kSetVma})
    filter.allow("prctl", SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, bits(option)));
}

/// Memory that no process has mapped is counted by a cgroup alone: without one there is none.
void refuse_uncounted_memory(Filter& filter) {
  constexpr scmp_datum_t kNamelessAndShared = MAP_SHARED | MAP_ANONYMOUS;
  filter.answer(EPERM, "mmap", SCMP_A3(SCMP_CMP_MASKED_EQ, kNamelessAndShared, kNamelessAndShared));
  filter.answer(EPERM, "memfd_create");
  filter.answer(EPERM, "socketpair");  // what lies in its ends
}

/// Only of kinds that stay connected: one for datagrams could send to any socket by its path.
void add_pairs(Filter& filter) {
  constexpr scmp_datum_t kKind = 0xf;
  for (int kind : {SOCK_STREAM, SOCK_SEQPACKET})
    filter.allow("socketpair", SCMP_A0(SCMP_CMP_EQ, AF_UNIX), SCMP_A1(SCMP_CMP_MASKED_EQ, kKind, bits(kind)));
}

/// Where all threads that it can name are its own, any; else itself alone.
void add_placing(Filter& filter, bool names_its_own_only) {
  for (const char* name : kPlacing)
    names_its_own_only ? filter.allow(name) : filter.allow(name, SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, 0));
  filter.allow("prlimit64", SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, 0));
}

}  // namespace

Result<void> fence_calls(model::Confinement& report) {
  // Two filters, of which the stricter answer counts: one cannot say "any but".
  Filter exceptions(SCMP_ACT_ALLOW), list(SCMP_ACT_ERRNO(EPERM));
  refuse_device_calls(exceptions);
  if (!report.group_memory) refuse_uncounted_memory(exceptions);
  for (const char* name : kListed) list.allow(name);
  add_clone(list);
  add_signals(list);
  add_descriptors(list);
  add_process_options(list);
  add_placing(list, report.has(model::kOwnProcesses));
  add_pairs(list);
  list.deny_the_unknown();
  for (Filter* filter : {&exceptions, &list})
    if (auto loaded = filter->load(); !loaded) return loaded;
  report.calls = true;
  return {};
}

}  // namespace amalgam::worker
