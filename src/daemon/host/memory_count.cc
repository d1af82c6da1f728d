// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/memory_count.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "base/unique_fd.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kBlock = 512;

/// Σ of the lines "NAME:   123 kB" of FOLDER/FILE; empty if the first is not there.
std::optional<uint64_t> sum_lines(const std::string& folder, const char* file, std::string_view first,
                                  std::string_view second) {
  char text[8192];
  UniqueFd fd(::open((folder + "/" + file).c_str(), O_RDONLY | O_CLOEXEC));
  ssize_t got = fd ? ::read(fd.get(), text, sizeof text) : -1;
  if (got <= 0) return std::nullopt;
  const std::string_view all(text, static_cast<size_t>(got));
  auto value = [all](std::string_view name) -> std::optional<uint64_t> {
    size_t at = all.find(name);
    if (at == std::string_view::npos) return std::nullopt;
    at = all.find_first_not_of(" \t", at + name.size());
    uint64_t kib = 0;
    if (at == std::string_view::npos || std::from_chars(all.data() + at, all.data() + all.size(), kib).ec != std::errc{})
      return std::nullopt;
    return kib * kKiB;
  };
  auto sum = value(first);
  if (sum && !second.empty()) *sum += value(second).value_or(0);
  return sum;
}

/// The same of a process; of its first thread that has not ended, since one that has says nothing of memory.
std::optional<uint64_t> of_living(pid_t pid, const char* file, std::string_view first, std::string_view second) {
  const std::string folder = "/proc/" + std::to_string(pid);
  if (auto sum = sum_lines(folder, file, first, second)) return sum;
  std::unique_ptr<DIR, int (*)(DIR*)> threads(::opendir((folder + "/task").c_str()), ::closedir);
  while (const dirent* entry = threads ? ::readdir(threads.get()) : nullptr)
    if (entry->d_name[0] != '.')
      if (auto sum = sum_lines(folder + "/task/" + entry->d_name, file, first, second)) return sum;
  return std::nullopt;
}

}  // namespace

uint64_t present_bytes(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * kBlock : 0;
}

std::optional<uint64_t> private_bytes(pid_t pid) {
  auto pages = of_living(pid, "status", "\nRssAnon:", "\nVmSwap:");
  if (pages) *pages += of_living(pid, "status", "\nVmPTE:", "").value_or(0);  // the pages' tables
  return pages;
}

std::optional<uint64_t> divided_private_bytes(pid_t pid) {
  auto pages = of_living(pid, "smaps_rollup", "\nPss_Anon:", "\nSwapPss:");
  if (pages) *pages += of_living(pid, "status", "\nVmPTE:", "").value_or(0);
  return pages;
}

std::map<pid_t, std::vector<pid_t>> members_of(const std::vector<pid_t>& groups) {
  std::map<pid_t, std::vector<pid_t>> members;
  for (pid_t group : groups) members[group];
  std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), ::closedir);
  if (!folder) return members;
  while (const dirent* entry = ::readdir(folder.get())) {
    const auto pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (pid <= 0) continue;
    auto group = members.find(::getpgid(pid));
    if (group != members.end()) group->second.push_back(pid);
  }
  return members;
}

}  // namespace amalgam::daemon
