// SPDX-License-Identifier: Apache-2.0
#include "north/cli/contain.h"

#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace amalgam::cli {
namespace {

// The nodes of accelerators in /dev, and folders of them.
constexpr const char* kNodes[] = {"/dev/dri", "/dev/kfd", "/dev/accel", "/dev/nvidia*"};
constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

Result<void> write_file(const std::string& path, const std::string& text, int flags = 0) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0400));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail(system_error("write " + path, errno));
  return {};
}

/// Whatever the caller's umask is: whoever the program becomes shall read it, or nobody.
Result<void> make_file(const std::string& path, const std::string& text, mode_t mode) {
  AMALGAM_TRY(write_file(path, text, O_CREAT | O_EXCL), "make a file");
  if (::chmod(path.c_str(), mode) != 0) return fail(system_error("protect " + path, errno));
  return {};
}

Result<void> mount_empty(const std::string& at) {
  if (::mount("amalgam", at.c_str(), "tmpfs", kPlain, "mode=0755,size=64k") != 0)
    return fail(system_error("mount a folder at " + at, errno));
  return {};
}

Result<void> make_read_only(const std::string& at) {
  if (::mount(nullptr, at.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kPlain, nullptr) != 0)
    return fail(system_error("protect " + at, errno));
  return {};
}

/// In the new name space of users everybody is who he was, and nobody else is there.
Result<void> map_self(uid_t user, gid_t group) {
  auto map = [](const char* path, unsigned id) {
    return write_file(path, std::to_string(id) + " " + std::to_string(id) + " 1");
  };
  AMALGAM_TRY(write_file("/proc/self/setgroups", "deny"), "map users");
  AMALGAM_TRY(map("/proc/self/uid_map", user), "map users");
  return map("/proc/self/gid_map", group);
}

Result<Power> part_from_mounts(Power most) {
  Power power = Power::kOwn;
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  int parted = ::unshare(CLONE_NEWNS);
  if (parted != 0 && errno == EPERM && most == Power::kUsers) {
    power = Power::kUsers;
    parted = ::unshare(CLONE_NEWNS | CLONE_NEWUSER);
  }
  if (parted != 0) return fail(system_error("make a name space of mounts", errno));
  if (power == Power::kUsers) AMALGAM_TRY(map_self(user, group), "make a name space of users");
  // What the system mounts and unmounts later comes here too; nothing of this goes there.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return fail(system_error("part from the system's mounts", errno));
  return power;
}

std::vector<std::string> nodes() {
  std::vector<std::string> found;
  glob_t list{};
  for (const char* node : kNodes) ::glob(node, list.gl_pathv == nullptr ? 0 : GLOB_APPEND, nullptr, &list);
  for (size_t i = 0; i < list.gl_pathc; ++i) found.emplace_back(list.gl_pathv[i]);
  ::globfree(&list);
  return found;
}

/// A folder becomes an empty one; a node becomes `nothing`, a file that nobody may open.
Result<void> hide(const std::string& node, const std::string& nothing) {
  struct stat info{};
  if (::stat(node.c_str(), &info) != 0) return {};
  if (S_ISDIR(info.st_mode)) {
    AMALGAM_TRY(mount_empty(node), "hide devices");
  } else if (::mount(nothing.c_str(), node.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return fail(system_error("hide " + node, errno));
  }
  return make_read_only(node);
}

}  // namespace

Result<Power> contain(const std::filesystem::path& library, const protocol::SliceFile& slice, Power most) {
  const std::string vendors = protocol::kVendorsFolder;
  if (struct stat info{}; ::stat(vendors.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    return fail(Code::kNotFound, "there is no folder " + vendors + ", where OpenCL programs would find the slice; make it");
  auto power = part_from_mounts(most);
  if (!power) return power;
  AMALGAM_TRY(mount_empty(vendors), "hide drivers");
  AMALGAM_TRY(make_file(vendors + "/amalgam.icd", library.string() + "\n", 0444), "hide drivers");
  AMALGAM_TRY(make_file(protocol::kSliceFile, protocol::slice_file_text(slice), 0444), "hide drivers");
  const std::string nothing = vendors + "/nothing";
  AMALGAM_TRY(make_file(nothing, "", 0), "hide devices");
  for (const std::string& node : nodes()) AMALGAM_TRY(hide(node, nothing), "hide devices");
  if (::unlink(nothing.c_str()) != 0) return fail(system_error("hide devices", errno));
  AMALGAM_TRY(make_read_only(vendors), "hide drivers");
  return power;
}

}  // namespace amalgam::cli
