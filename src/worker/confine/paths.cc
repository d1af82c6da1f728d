// SPDX-License-Identifier: Apache-2.0
#include "worker/confine/paths.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace amalgam::worker {
namespace {

namespace fs = std::filesystem;

// Of /etc only what loaders, drivers and their compilers look at: the rest is nobody's business here.
constexpr const char* kSystem[] = {"/usr",
                                   "/lib",
                                   "/lib32",
                                   "/lib64",
                                   "/bin",
                                   "/sbin",
                                   "/opt",
                                   "/nix/store",
                                   "/etc/ld.so.cache",
                                   "/etc/ld.so.conf",
                                   "/etc/ld.so.conf.d",
                                   "/etc/ld.so.preload",
                                   "/etc/alternatives",
                                   "/etc/OpenCL",
                                   "/etc/vulkan",
                                   "/etc/glvnd",
                                   "/etc/egl",
                                   "/etc/drirc",
                                   "/etc/nvidia",
                                   "/etc/clang",
                                   "/etc/localtime",
                                   "/etc/nsswitch.conf",
                                   "/etc/passwd",
                                   "/etc/group",
                                   "/sys/devices",
                                   "/sys/class",
                                   "/sys/bus",
                                   "/sys/dev",
                                   "/sys/module"};
// Not /dev/zero: mapped shared, it is memory that nobody counts.
constexpr const char* kNodes[] = {"/dev/null", "/dev/full", "/dev/random", "/dev/urandom",
                                  "/dev/dri",  "/dev/kfd",  "/dev/accel"};
// Where variables of loaders and drivers name further folders.
constexpr const char* kPathVariables[] = {"LD_LIBRARY_PATH", "OCL_ICD_VENDORS", "AMALGAM_OPENCL_VENDORS",
                                          "OPENCL_VENDOR_PATH"};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void add(std::vector<std::string>& paths, const std::string& path) {
  if (path.starts_with('/') && ::access(path.c_str(), F_OK) == 0) paths.push_back(path);
}

void add_list(std::vector<std::string>& paths, const std::string& list) {
  for (size_t at = 0; at <= list.size();) {
    size_t end = std::min(list.find(':', at), list.size());
    add(paths, list.substr(at, end - at));
    at = end + 1;
  }
}

/// The nodes of one vendor's driver have numbers.
void add_numbered_nodes(std::vector<std::string>& devices) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/dev", error))
    if (entry.path().filename().string().starts_with("nvidia")) devices.push_back(entry.path().string());
}

std::string own_cache() {
  std::string base = variable("AMALGAM_DRIVER_CACHE");
  if (!base.empty()) return base;
  base = variable("XDG_CACHE_HOME");
  std::error_code ignored;
  if (const std::string home = variable("HOME"); base.empty() && fs::is_directory(home, ignored)) base = home + "/.cache";
  return base.empty() ? "/tmp/amalgam-cache-" + std::to_string(::getuid()) : base + "/amalgam/drivers";
}

/// Drivers keep compiled kernels there and load them as code: nobody else may have written them.
Result<void> make_cache(const std::string& folder, uid_t owner) {
  std::error_code error;
  if (fs::create_directories(folder, error)) fs::permissions(folder, fs::perms::owner_all, error);
  struct stat status{};
  if (::lstat(folder.c_str(), &status) != 0) return fail(system_error("cache folder " + folder, errno));
  if (!S_ISDIR(status.st_mode) || status.st_uid != owner || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::kPermissionDenied, "cache folder " + folder + " is not this user's own alone; move it away");
  return {};
}

}  // namespace

Result<VisiblePaths> visible_paths(const protocol::Confine& order, const std::vector<std::string>& program) {
  VisiblePaths paths;
  for (const char* path : kSystem) add(paths.readable, path);
  for (const std::string& path : program) add(paths.readable, path);
  for (const std::string& path : order.readable) add(paths.readable, path);
  for (const char* name : kPathVariables) add_list(paths.readable, variable(name));
  for (const char* path : kNodes) add(paths.devices, path);
  add_numbered_nodes(paths.devices);
  for (const std::string& path : order.devices) add(paths.devices, path);
  paths.cache = order.cache.empty() ? own_cache() : order.cache;
  if (auto made = make_cache(paths.cache, order.own_user ? order.uid : ::getuid()); !made)
    return std::unexpected(std::move(made.error()));
  for (const char* name : {"XDG_CACHE_HOME", "TMPDIR", "POCL_CACHE_DIR"}) ::setenv(name, paths.cache.c_str(), 1);
  return paths;
}

}  // namespace amalgam::worker
