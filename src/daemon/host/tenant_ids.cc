// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/tenant_ids.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "daemon/host/paths.h"

namespace amalgam::daemon {
namespace {

constexpr const char* kProbes = "probes";

}  // namespace

Result<uid_t> TenantIds::free_id() const {
  std::set<uid_t> taken{range_.first};
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    struct stat status{};
    if (::lstat(entry.path().c_str(), &status) == 0) taken.insert(status.st_uid);
  }
  if (error) return fail(system_error("read " + folder_.string(), error.value()));
  for (uint32_t i = 1; i < range_.count; ++i)
    if (!taken.contains(range_.first + i)) return range_.first + i;
  return fail(Code::kLimit, "all " + std::to_string(range_.count) +
                                " user ids for workers are taken; raise [isolation] user_ids, or remove folders of users "
                                "who are gone from " +
                                folder_.string());
}

Result<TenantIds::Tenant> TenantIds::at(const std::string& name, uid_t wanted) {
  const std::filesystem::path own = folder_ / name;
  struct stat status{};
  if (::lstat(own.c_str(), &status) == 0) {
    if (!S_ISDIR(status.st_mode) || !range_.holds(status.st_uid) || status.st_gid != status.st_uid)
      return fail(Code::kPermissionDenied, own.string() + " is not a cache folder of a worker's user; move it away");
    return Tenant{true, status.st_uid, own.string()};
  }
  if (wanted == 0) {
    auto free = free_id();
    if (!free) return std::unexpected(std::move(free.error()));
    wanted = *free;
  }
  // Under another name until it has its owner: nobody may find one that is still ours.
  const std::filesystem::path making = folder_ / (name + ".new");
  std::error_code ignored;
  std::filesystem::remove_all(making, ignored);
  if (::mkdir(making.c_str(), 0700) != 0 || ::lchown(making.c_str(), wanted, wanted) != 0 ||
      ::rename(making.c_str(), own.c_str()) != 0)
    return fail(system_error("make " + own.string(), errno));
  return Tenant{true, wanted, own.string()};
}

Result<TenantIds::Tenant> TenantIds::tenant(uid_t uid) {
  if (!own_) return Tenant{};
  AMALGAM_TRY(make_folder(folder_, 0711), "cache folder");
  return at(std::to_string(uid), 0);
}

Result<TenantIds::Tenant> TenantIds::prober() {
  if (!own_) return Tenant{};
  AMALGAM_TRY(make_folder(folder_, 0711), "cache folder");
  return at(kProbes, range_.first);
}

}  // namespace amalgam::daemon
