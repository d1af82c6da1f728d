// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "base/unique_fd.h"

namespace amalgam::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAside = "/daemon";

bool write_to(const std::string& file, const std::string& text) {
  UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string read_from(const std::string& file) {
  char text[4096];
  UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  ssize_t got = ::read(fd.get(), text, sizeof text);
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

std::optional<uint64_t> number_in(std::string_view text) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} ? std::optional(number) : std::nullopt;
}

/// Where the unified hierarchy is mounted; empty if it is not.
std::string mount_point() {
  std::ifstream in("/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    const size_t dash = line.find(" - cgroup2 ");
    if (dash == std::string::npos) continue;
    std::istringstream fields(line);
    std::string id, parent, device, root, at;
    fields >> id >> parent >> device >> root >> at;
    return at;
  }
  return {};
}

/// Our own group in it, as the mount shows it.
std::string own_group(const std::string& mount) {
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("0::")) return mount + (line.size() == 4 && line[3] == '/' ? "" : line.substr(3));
  return {};
}

bool has_word(const std::string& words, std::string_view word) {
  std::istringstream in(words);
  for (std::string each; in >> each;)
    if (each == word) return true;
  return false;
}

void hand_down(const std::string& group) {
  for (const char* controller : {"+memory", "+pids"}) (void)write_to(group + "/cgroup.subtree_control", controller);
}

/// Controllers can only be handed down from a group without processes of its own: ours move into one below.
void hand_down_all(const std::string& group) {
  hand_down(group);
  const std::string have = read_from(group + "/cgroup.subtree_control");
  if (has_word(have, "memory") && has_word(have, "pids")) return;
  const std::string offered = read_from(group + "/cgroup.controllers");
  if (!has_word(offered, "memory") && !has_word(offered, "pids")) return;
  const std::string aside = group + std::string(kAside);
  if (::mkdir(aside.c_str(), 0755) != 0 && errno != EEXIST) return;
  if (write_to(aside + "/cgroup.procs", std::to_string(::getpid()))) hand_down(group);
}

/// Why groups below `base` have not both controllers.
std::string why_unbounded(const std::string& mount, const std::string& base) {
  const std::string offered = read_from(base + "/cgroup.controllers");
  if (has_word(offered, "memory") && has_word(offered, "pids"))
    return "the controllers memory and pids cannot be handed down from " + base +
           ", where other processes are; let the daemon begin in a group of its own below it (DelegateSubgroup=daemon)";
  if (base == mount || !has_word(read_from(mount + "/cgroup.controllers"), "memory"))
    return "cgroup v2 has not both controllers, memory and pids (they may be mounted as v1; boot with "
           "systemd.unified_cgroup_hierarchy=1)";
  return "the controllers memory and pids are not given to " + base + "; have them delegated (Delegate=yes)";
}

/// Of workers that ended while no daemon ran.
void sweep(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().filename().string().starts_with("w-")) ::rmdir(entry.path().c_str());
}

}  // namespace

bool Cgroup::Member::kill() const { return !folder_.empty() && write_to(folder_ + "/cgroup.kill", "1"); }

std::optional<uint64_t> Cgroup::Member::time_ns() const {
  if (folder_.empty()) return std::nullopt;
  const std::string text = read_from(folder_ + "/cpu.stat");
  constexpr std::string_view kUsage = "usage_usec ";
  const size_t at = text.find(kUsage);
  if (at == std::string::npos) return std::nullopt;
  auto usage_us = number_in(std::string_view(text).substr(at + kUsage.size()));
  return usage_us ? std::optional(*usage_us * 1000) : std::nullopt;
}

std::optional<uint64_t> Cgroup::Member::memory_bytes() const {
  return folder_.empty() ? std::nullopt : number_in(read_from(folder_ + "/memory.current"));
}

bool Cgroup::Member::ran_out() const {
  if (folder_.empty()) return false;
  const std::string text = read_from(folder_ + "/memory.events");
  constexpr std::string_view kEnded = "\noom_kill ";
  const size_t at = text.find(kEnded);
  return at != std::string::npos && number_in(std::string_view(text).substr(at + kEnded.size())).value_or(0) != 0;
}

void Cgroup::Member::bound(const Bounds& bounds) const {
  if (folder_.empty()) return;
  auto limit = [](uint64_t value) { return value == 0 ? std::string("max") : std::to_string(value); };
  (void)write_to(folder_ + "/memory.max", limit(bounds.memory_bytes));
  (void)write_to(folder_ + "/memory.oom.group", "1");
  (void)write_to(folder_ + "/pids.max", limit(bounds.tasks));
}

bool Cgroup::Member::remove() {
  if (folder_.empty()) return true;
  if (::rmdir(folder_.c_str()) != 0 && errno != ENOENT) return false;
  folder_.clear();
  return true;
}

Cgroup Cgroup::find(const std::string& name) {
  Cgroup found;
  const std::string mount = mount_point();
  if (mount.empty()) {
    found.missing_ = "cgroup v2 is not mounted";
    return found;
  }
  // Handing down moves us into a group below; the next daemon starts there or here, and finds the same place.
  std::string base = own_group(mount);
  if (base.ends_with(kAside)) base.resize(base.size() - kAside.size());
  const std::string place = base + "/amalgam-" + name;
  if (::access(base.c_str(), W_OK) != 0 || (::mkdir(place.c_str(), 0755) != 0 && errno != EEXIST)) {
    found.missing_ = "no cgroup may be made in " + base + "; have it delegated (Delegate=yes)";
    return found;
  }
  sweep(place);
  base == mount ? hand_down(base) : hand_down_all(base);
  hand_down(place);
  found.folder_ = place;
  const std::string have = read_from(place + "/cgroup.subtree_control");
  found.memory_ = has_word(have, "memory");
  found.tasks_ = has_word(have, "pids");
  if (!found.memory_ || !found.tasks_) found.missing_ = why_unbounded(mount, base);
  return found;
}

Cgroup::Member Cgroup::add(pid_t pid) const {
  if (folder_.empty()) return {};
  const std::string folder = folder_ + "/w-" + std::to_string(pid);
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return {};
  if (write_to(folder + "/cgroup.procs", std::to_string(pid))) return Member(folder);
  ::rmdir(folder.c_str());
  return {};
}

void Cgroup::leave() const {
  if (!folder_.empty()) ::rmdir(folder_.c_str());
}

Cgroup::Member Cgroup::find(pid_t pid) const {
  if (folder_.empty()) return {};
  std::string folder = folder_ + "/w-" + std::to_string(pid);
  return ::access(folder.c_str(), F_OK) == 0 ? Member(std::move(folder)) : Member();
}

}  // namespace amalgam::daemon
