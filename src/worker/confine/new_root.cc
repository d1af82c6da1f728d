// SPDX-License-Identifier: Apache-2.0
#include "worker/confine/new_root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/unique_fd.h"

namespace amalgam::worker {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPlace = "/tmp";  // hidden by the new root while that is made; what is needed of it is open by then
// mount_setattr(2), Linux 5.12: not in this system's headers.
constexpr long kMountSetattr = 442;
constexpr uint64_t kReadOnly = 0x1, kNoSetUid = 0x2, kNoDevices = 0x4, kNoExecution = 0x8;
constexpr unsigned kRecursive = 0x8000, kEmptyPath = 0x1000;

struct MountAttributes {
  uint64_t set = 0, clear = 0, propagation = 0, user_space = 0;
};

Result<void> restrict_mount(const std::string& at, uint64_t what, bool below) {
  MountAttributes attributes;
  attributes.set = what;
  if (::syscall(kMountSetattr, AT_FDCWD, at.c_str(), below ? kRecursive : 0, &attributes, sizeof attributes) != 0)
    return fail(system_error("restrict the mount at " + at, errno));
  return {};
}

struct Source {
  std::string path;  ///< where it will be
  UniqueFd place;    ///< what it is
  std::string link;  ///< it is a symbolic link to this
  bool is_folder = false;
  uint64_t restrictions = 0;
};

Result<Source> open_source(const std::string& path, uint64_t restrictions) {
  Source source;
  source.path = path;
  source.restrictions = restrictions;
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return fail(system_error(path, errno));
  // The system's own links (/lib → usr/lib) stay links; others are followed, since what they lead to may not be there.
  if (S_ISLNK(status.st_mode) && path.find('/', 1) == std::string::npos) {
    source.link = fs::read_symlink(path).string();
    return source;
  }
  source.place.reset(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!source.place || ::fstat(source.place.get(), &status) != 0) return fail(system_error(path, errno));
  source.is_folder = S_ISDIR(status.st_mode);
  return source;
}

/// Everything is opened before the new root hides any of it.
Result<std::vector<Source>> open_sources(const VisiblePaths& paths) {
  std::vector<Source> sources;
  auto open_all = [&](const std::vector<std::string>& list, uint64_t restrictions) -> Result<void> {
    for (const std::string& path : list) {
      auto source = open_source(fs::path(path).lexically_normal().string(), restrictions);
      if (!source) return std::unexpected(std::move(source.error()));
      if (source->path.size() > 1 && source->path.ends_with('/')) source->path.pop_back();
      sources.push_back(std::move(*source));
    }
    return {};
  };
  if (auto opened = open_all(paths.readable, kReadOnly | kNoSetUid | kNoDevices); !opened)
    return std::unexpected(std::move(opened.error()));
  if (auto opened = open_all(paths.devices, kNoSetUid | kNoExecution); !opened)
    return std::unexpected(std::move(opened.error()));
  if (auto opened = open_all({paths.cache}, kNoSetUid | kNoDevices); !opened)
    return std::unexpected(std::move(opened.error()));
  return sources;
}

Result<void> make_place(const std::string& at, bool is_folder) {
  std::error_code error;
  fs::create_directories(is_folder ? fs::path(at) : fs::path(at).parent_path(), error);
  if (error) return fail(system_error("make " + at, error.value()));
  if (is_folder) return {};
  UniqueFd file(::open(at.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
  if (!file) return fail(system_error("make " + at, errno));
  return {};
}

Result<void> bind(const Source& source) {
  const std::string at = kPlace + source.path;
  struct stat there{};
  const bool is_there = ::lstat(at.c_str(), &there) == 0;
  if (!source.link.empty()) {
    if (!is_there && ::symlink(source.link.c_str(), at.c_str()) != 0) return fail(system_error("link " + at, errno));
    return {};
  }
  const bool writable = (source.restrictions & kReadOnly) == 0;
  if (is_there && !writable) return {};  // within something that is bound already
  if (!is_there) AMALGAM_TRY(make_place(at, source.is_folder), "new root");
  const std::string from = "/proc/self/fd/" + std::to_string(source.place.get());
  // With what is mounted below: without privilege no part of a tree may be uncovered.
  if (::mount(from.c_str(), at.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return fail(system_error("bind " + source.path, errno));
  return restrict_mount(at, source.restrictions, true);
}

/// A writable folder of the bounded memory that the root is.
Result<void> make_scratch(const std::string& path) {
  const std::string at = kPlace + path;
  std::error_code error;
  fs::create_directories(at, error);
  if (error || ::chmod(at.c_str(), 01777) != 0) return fail(system_error("make " + at, errno));
  // A mount of its own, so that it stays writable when the root is not.
  if (::mount(at.c_str(), at.c_str(), nullptr, MS_BIND, nullptr) != 0) return fail(system_error("bind " + at, errno));
  return restrict_mount(at, kNoSetUid | kNoDevices, false);
}

Result<void> make_proc(bool own_processes) {
  const std::string at = std::string(kPlace) + "/proc";
  AMALGAM_TRY(make_place(at, true), "new root");
  if (!own_processes) {
    if (::mount("/proc", at.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
      return fail(system_error("bind /proc", errno));
    return restrict_mount(at, kNoSetUid | kNoDevices | kNoExecution, true);
  }
  if (::mount("proc", at.c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    return fail(system_error("mount /proc", errno));
  return {};
}

Result<void> turn_to(const char* place) {
  if (::chdir(place) != 0) return fail(system_error("go to the new root", errno));
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail(system_error("turn to the new root", errno));
  if (::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) return fail(system_error("leave the old root", errno));
  return {};
}

}  // namespace

Result<void> make_new_root(const VisiblePaths& paths, bool own_processes) {
  auto sources = open_sources(paths);
  if (!sources) return std::unexpected(std::move(sources.error()));
  // Nothing of this reaches the mounts that it was copied from, and nothing mounted there later comes here.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return fail(system_error("part from the system's mounts", errno));
  const std::string bound = "mode=0755,size=" + std::to_string(kWorkerScratchBytes);
  const mode_t before = ::umask(0);
  if (::mount("amalgam", kPlace, "tmpfs", MS_NOSUID | MS_NODEV, bound.c_str()) != 0)
    return fail(system_error("mount the new root", errno));
  // Before what may be bound below.
  for (const char* path : {"/tmp", "/dev/shm"}) AMALGAM_TRY(make_scratch(path), "new root");
  for (const Source& source : *sources) AMALGAM_TRY(bind(source), "new root");
  AMALGAM_TRY(make_proc(own_processes), "new root");
  const std::string dev = std::string(kPlace) + "/dev/";
  (void)!::symlink("/proc/self/fd", (dev + "fd").c_str());
  ::umask(before);
  sources->clear();
  AMALGAM_TRY(turn_to(kPlace), "new root");
  return restrict_mount("/", kReadOnly, false);
}

}  // namespace amalgam::worker
