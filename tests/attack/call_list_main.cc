// SPDX-License-Identifier: Apache-2.0
// call_list: which system calls a worker's filter lets through, as the kernel decides it; none of them is made.
//
//   call_list --names     every number of this architecture with its name
//   call_list --through   what is let through: a name, or a name with a form of its arguments
//   call_list --doors     how a process ends that comes by another architecture's door
//
// Theory. Of several filters the kernel takes the strictest answer, and of equally strict ones that of the newest. So a
// child first installs a filter that answers EXFULL to every call whose sixth argument is kMark, then the worker's own. A
// marked call that the worker's filter refuses has its answer; one that it lets through has EXFULL; neither is made. That is
// exact, and needs no harmless arguments. (The filter looks at no sixth argument.)
#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "worker/confine/calls.h"

namespace {

using amalgam::model::Confinement;

constexpr long kNumbers = 1024;
// uretprobe and uprobe: the kernel asks no filter about them, and ends whoever calls them from elsewhere than its own page.
constexpr long kNeverFiltered[] = {335, 336};
constexpr unsigned long kMark = 0x5ca1ab1e;
constexpr unsigned long kHigh = 0x5a5a5a5a00000000;  // what only a careless filter looks at
using Arguments = std::array<unsigned long, 4>;

struct Form {
  const char* name;
  std::string text;  ///< empty: it must be refused, and is listed as a hole if it is not
  Arguments arguments;
};

template <typename... T>
Arguments with(T... values) {
  return {static_cast<unsigned long>(values)...};
}

/// Calls of which only some forms are let through, and the forms that are tried.
std::vector<Form> forms() {
  const auto self = static_cast<unsigned long>(::getpid());
  std::vector<Form> all;
  auto numbered = [&](const char* name, unsigned position, unsigned long first, unsigned long last) {
    for (unsigned long value = first; value <= last; ++value) {
      Arguments arguments{};
      arguments[position] = value;
      all.push_back({name, std::to_string(value), arguments});
    }
  };
  numbered("fcntl", 1, 0, 48);
  numbered("fcntl", 1, 1024, 1048);
  numbered("prctl", 0, 0, 80);
  for (unsigned long value : {0x53564d41UL, 0x59616d61UL, 0x4d4dUL})
    all.push_back({"prctl", std::to_string(value), with(value)});
  numbered("socketpair", 0, 2, 46);
  numbered("socketpair", 0, 0, 0);
  for (unsigned long type = 0; type <= 10; ++type)
    all.push_back({"socketpair", "1 type " + std::to_string(type), with(AF_UNIX, type | SOCK_CLOEXEC)});
  for (const char* name : {"kill", "tgkill"}) {
    all.push_back({name, "itself", with(self, self, SIGTERM)});
    for (long other : {0L, -1L, 1L, -static_cast<long>(self), static_cast<long>(self) + 1})
      if (other != static_cast<long>(self)) all.push_back({name, std::to_string(other), with(other, other, SIGTERM)});
  }
  for (const char* name : {"sched_setaffinity", "sched_setscheduler", "sched_setparam", "prlimit64"}) {
    all.push_back({name, "itself", with(0)});
    all.push_back({name, "any that it sees", with(self + 1)});
  }
  for (unsigned long flag = 1UL << 8; flag <= 1UL << 33; flag <<= 1) {
    char text[16];
    std::snprintf(text, sizeof text, "%#lx", flag);
    all.push_back({"clone", text, with(flag)});
  }
  for (unsigned long end = 0; end <= 64; ++end) all.push_back({"clone", "end signal " + std::to_string(end), with(end)});
  all.push_back({"ioctl", "of a device", with(0, 0xc0106401)});
  all.push_back({"ioctl", "of any descriptor", with(0, FIONREAD)});
  for (unsigned long command :
       {static_cast<unsigned long>(FIOSETOWN), static_cast<unsigned long>(SIOCSPGRP), static_cast<unsigned long>(FIOASYNC),
        static_cast<unsigned long>(TIOCSTI), static_cast<unsigned long>(TIOCLINUX)})
    for (unsigned long high : {0UL, kHigh}) all.push_back({"ioctl", "", with(0, command | high)});
  all.push_back({"mmap", "private", with(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS)});
  all.push_back({"mmap", "of a file", with(0, 4096, PROT_READ, MAP_SHARED)});
  for (unsigned long high : {0UL, kHigh, 0x40000UL})
    all.push_back({"mmap", "shared and of no file", with(0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | high)});
  for (unsigned long command : {F_SETOWN, F_SETSIG, F_SETLEASE, F_NOTIFY})
    all.push_back({"fcntl", "", with(0, command | kHigh)});
  all.push_back({"prctl", "", with(PR_SET_DUMPABLE | kHigh)});
  return all;
}

/// Whether the call is let through by the filters that are in force.
bool passes(long number, const Arguments& a) {
  errno = 0;
  return ::syscall(number, a[0], a[1], a[2], a[3], 0UL, kMark) == -1 && errno == EXFULL;
}

bool answer_to_the_marked() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  int error = 0;
  for (int number = 0; number < kNumbers && error == 0; ++number)
    error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EXFULL), number, 1, SCMP_A5(SCMP_CMP_EQ, kMark));
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (error == 0) error = seccomp_load(filter);
  seccomp_release(filter);
  return error == 0;
}

std::string name_of(long number) {
  char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number));
  std::string text = name == nullptr ? "" : name;
  ::free(name);
  return text;
}

std::set<std::string> let_through() {
  std::set<std::string> lines;
  std::map<std::string, bool> formed;
  for (const Form& form : forms()) {
    formed[form.name] = true;
    const long number = seccomp_syscall_resolve_name(form.name);
    if (!passes(number, form.arguments)) continue;
    lines.insert(form.text.empty() ? std::string("HOLE ") + form.name : std::string(form.name) + " (" + form.text + ")");
  }
  const auto self = static_cast<unsigned long>(::getpid());
  const Arguments patterns[] = {{}, with(-1, -1, -1, -1), with(1, 1, 1, 1), with(self, 2, 3, 4), with(0, -1, 0, 0x21)};
  for (long number = 0; number < kNumbers; ++number) {
    const std::string name = name_of(number);
    if (formed.contains(name) || std::ranges::find(kNeverFiltered, number) != std::end(kNeverFiltered)) continue;
    size_t passed = 0;
    for (const Arguments& arguments : patterns) passed += passes(number, arguments) ? 1 : 0;
    if (passed == 0) continue;
    std::string line = name.empty() ? "number " + std::to_string(number) : name;
    if (passed < std::size(patterns)) line += " (some forms)";
    lines.insert(line);
  }
  return lines;
}

/// In a child: the filters stay for ever. Its lines come through a pipe.
std::set<std::string> let_through_with(const Confinement& report) {
  int ends[2];
  if (::pipe(ends) != 0) return {"no pipe"};
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    std::string text = "the filters cannot be loaded\n";
    Confinement given = report;
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && answer_to_the_marked() && amalgam::worker::fence_calls(given)) {
      text.clear();
      for (const std::string& line : let_through()) text += line + "\n";
    }
    (void)!::write(ends[1], text.data(), text.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  char piece[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], piece, sizeof piece)) > 0;) text.append(piece, static_cast<size_t>(got));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  std::set<std::string> lines;
  for (size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    lines.insert(text.substr(at, end - at));
  return lines;
}

int print_let_through() {
  Confinement all, least;
  all.spaces = amalgam::model::kWalls;
  all.group_memory = true;
  const std::set<std::string> with_walls = let_through_with(all), without = let_through_with(least);
  for (const std::string& line : with_walls)
    std::printf("%s%s\n", line.c_str(), without.contains(line) ? "" : " [not everywhere]");
  for (const std::string& line : without)
    if (!with_walls.contains(line)) std::printf("%s [without walls only]\n", line.c_str());
  return 0;
}

/// "killed by signal 31", or what the call gave.
std::string fate_of(void (*call)()) {
  const pid_t child = ::fork();
  if (child == 0) {
    Confinement report;
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!amalgam::worker::fence_calls(report)) ::_exit(99);
    call();
    ::_exit(errno);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  return "answered " + std::to_string(WEXITSTATUS(status));
}

void by_int80() {
  long result = 20;  // getpid there
  __asm__ volatile("int $0x80" : "+a"(result) : : "r8", "r9", "r10", "r11", "memory");
  errno = result > 0 ? 0 : static_cast<int>(-result);
}

void by_x32() {
  constexpr long kX32 = 0x40000000, kGetPid = 39;
  errno = 0;
  (void)::syscall(kX32 | kGetPid);
}

int print_doors() {
  std::printf("int80: %s\nx32: %s\n", fate_of(by_int80).c_str(), fate_of(by_x32).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 2 ? argv[1] : "";
  if (what == "--through") return print_let_through();
  if (what == "--doors") return print_doors();
  if (what != "--names") return 2;
  for (long number = 0; number < kNumbers; ++number)
    if (const std::string name = name_of(number); !name.empty()) std::printf("%ld %s\n", number, name.c_str());
  return 0;
}
