// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/paths.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "protocol/control/channel.h"

namespace amalgam::daemon {
namespace fs = std::filesystem;
namespace {

fs::path from_environment(const char* variable, const char* below_home) {
  if (const char* named = ::getenv(variable); named != nullptr && *named == '/') return fs::path(named) / "amalgam";
  // Accounts of services have homes that are not there; nothing is made in their place.
  std::error_code ignored;
  if (const char* home = ::getenv("HOME"); home != nullptr && *home == '/' && fs::is_directory(home, ignored))
    return fs::path(home) / below_home / "amalgam";
  return {};
}

/// FNV-1a: the same on every machine and build, which std::hash does not promise.
uint64_t stable_hash(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

/// The path as lstat() must see it: with a slash at its end a link would be followed.
fs::path without_end(fs::path path) {
  while (path.has_parent_path() && path != path.root_path() && (!path.has_filename() || path.filename() == "."))
    path = path.parent_path();
  return path;
}

bool is_trusted(const struct stat& info) { return info.st_uid == ::geteuid() || info.st_uid == 0; }

/// Makes the folders above, which may be links, and sees to it that nobody else could put another folder in this one's
/// place.
Result<void> make_parents(const fs::path& folder) {
  const fs::path parent = without_end(folder.parent_path());
  if (parent.empty() || parent == folder) return {};
  struct stat info{};
  if (::stat(parent.c_str(), &info) != 0) {
    if (auto above = make_parents(parent); !above) return above;
    if (::mkdir(parent.c_str(), 0755) != 0 && errno != EEXIST) return fail(system_error(parent.string(), errno));
    if (::stat(parent.c_str(), &info) != 0) return fail(system_error(parent.string(), errno));
  }
  bool sticky = (info.st_mode & S_ISVTX) != 0;
  if (sticky || (is_trusted(info) && (info.st_mode & S_IWOTH) == 0)) return {};
  return fail(Code::kPermissionDenied, "others can rename what lies in " + parent.string() + "; choose another place");
}

/// A lock that ends with the process that holds it; its number is in the file, for those who come too late.
Result<UniqueFd> lock_file(const std::string& path, const std::string& holder_does, const std::string& advice) {
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!lock) return fail(system_error("open " + path, errno));
  struct stat info{};
  if (::fstat(lock.get(), &info) != 0) return fail(system_error("look at " + path, errno));
  // In /tmp anybody may have been first, also with another name of a file of ours.
  if (!S_ISREG(info.st_mode) || !is_trusted(info) || info.st_nlink != 1)
    return fail(Code::kPermissionDenied, path + " is there and is no lock of ours; name another place");
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    char holder[24] = {};
    ssize_t n = ::pread(lock.get(), holder, sizeof holder - 1, 0);
    std::string pid(holder, n > 0 ? static_cast<size_t>(n) : 0);
    while (pid.ends_with('\n')) pid.pop_back();
    return fail(Code::kUnavailable,
                "another amalgamd (pid " + (pid.empty() ? "unknown" : pid) + ") " + holder_does + "; " + advice);
  }
  std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.get(), 0) != 0 || ::pwrite(lock.get(), text.data(), text.size(), 0) < 0)
    return fail(system_error("write " + path, errno));
  return lock;
}

}  // namespace

fs::path default_socket(bool system) {
  return system ? fs::path("/run/amalgam/amalgamd.sock") : fs::path(protocol::user_socket_path());
}

fs::path default_state_dir(bool system) {
  if (system) return "/var/lib/amalgam";
  fs::path folder = from_environment("XDG_STATE_HOME", ".local/state");
  return folder.empty() ? fs::path(protocol::user_socket_path()).parent_path() : folder;
}

fs::path default_classes_dir(bool system) {
  if (system) return "/etc/amalgam/slices.d";
  fs::path folder = from_environment("XDG_CONFIG_HOME", ".config");
  return folder.empty() ? folder : folder / "slices.d";
}

fs::path user_config_file() {
  fs::path file = from_environment("XDG_CONFIG_HOME", ".config") / "amalgamd.toml";
  std::error_code ignored;
  return file.is_absolute() && fs::exists(file, ignored) ? file : fs::path();
}

Result<fs::path> find_worker() {
  std::error_code error;
  fs::path exe = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(system_error("read /proc/self/exe", error.value()));
  std::string sought;
  for (const char* relative : {"../libexec/amalgam/amalgam-worker", "../worker/amalgam-worker"}) {
    fs::path path = (exe.parent_path() / relative).lexically_normal();
    if (::access(path.c_str(), X_OK) == 0) return path;
    sought += (sought.empty() ? "" : ", ") + path.string();
  }
  return fail(Code::kNotFound, "amalgam-worker is not there (sought " + sought + "); name it with --worker");
}

std::string daemon_name(const fs::path& socket) {
  char name[20];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(stable_hash(socket.string())));
  return name;
}

fs::path state_file(const fs::path& state_dir, const fs::path& socket) {
  return state_dir / ("state-" + daemon_name(socket) + ".sqlite");
}

fs::path event_file(const fs::path& state_dir, const fs::path& socket) {
  return state_dir / ("events-" + daemon_name(socket));
}

fs::path guardian_socket(const fs::path& state_dir, const fs::path& socket) {
  return state_dir / ("guardian-" + daemon_name(socket));
}

Result<void> make_folder(const fs::path& given, mode_t mode, Neighbours neighbours) {
  const fs::path folder = without_end(given);
  AMALGAM_TRY(make_parents(folder), "make folder " + folder.string());
  bool made = ::mkdir(folder.c_str(), mode) == 0;
  if (!made && errno != EEXIST) return fail(system_error("make folder " + folder.string(), errno));
  struct stat info{};
  if (::lstat(folder.c_str(), &info) != 0) return fail(system_error("look at " + folder.string(), errno));
  // Whatever it is, it may be dear to somebody: nobody is told to remove it.
  if (S_ISLNK(info.st_mode))
    return fail(Code::kPermissionDenied,
                folder.string() + " is no folder, but a link, which anybody may have put there; name the folder itself");
  if (!S_ISDIR(info.st_mode))
    return fail(Code::kInvalidArgument, folder.string() + " is there and is no folder; name another place");
  if (!is_trusted(info))
    return fail(Code::kPermissionDenied,
                folder.string() + " belongs to user id " + std::to_string(info.st_uid) + "; name another place");
  bool sticky = (info.st_mode & S_ISVTX) != 0 && neighbours == Neighbours::kSticky;
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky)
    return fail(Code::kPermissionDenied, folder.string() + " can be written to by others; chmod go-w " + folder.string());
  // The umask must not take away what is meant. Nobody else could have put another folder in its place since.
  if (made && ::chmod(folder.c_str(), mode) != 0) return fail(system_error("set the mode of " + folder.string(), errno));
  return {};
}

Result<UniqueFd> lock_socket(const fs::path& socket) {
  return lock_file(socket.string() + ".lock", "serves " + socket.string(),
                   "end it with `amalgam --socket " + socket.string() + " shutdown`, or give another --socket");
}

Result<UniqueFd> lock_state(const fs::path& state_dir, const fs::path& socket) {
  const fs::path file = state_file(state_dir, socket);
  return lock_file(file.string() + ".lock", "keeps its state in " + file.string(), "end it, or give another --state-dir");
}

}  // namespace amalgam::daemon
