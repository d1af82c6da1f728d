// SPDX-License-Identifier: Apache-2.0
// TenantIds: which user id a tenant's workers have, where the daemon is root: one from a range that nothing else on the
// machine uses, the same one for ever.
//
// A tenant's driver cache belongs to its id, so its folder *is* the record: state/cache/<tenant's uid>, owned by the id. A
// new tenant gets the first id that no folder has. The first id of the range is for probes.
//
// Threads: not thread-safe. Blocking: local file system calls.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "base/error.h"

namespace amalgam::daemon {

class TenantIds {
 public:
  struct Range {
    uid_t first = 0;
    uint32_t count = 0;
    bool holds(uid_t id) const { return id >= first && id - first < count; }
  };
  struct Tenant {
    bool own = false;   ///< it has an id of its own; else it is the daemon's user
    uid_t id = 0;       ///< then: user and group
    std::string cache;  ///< its folder; empty: the daemon's user has one of his own
  };
  /// `own`: the daemon may give ids away.
  TenantIds(std::filesystem::path folder, Range range, bool own) : folder_(std::move(folder)), range_(range), own_(own) {}

  /// kLimit: no id is left. kPermissionDenied: the folder is not as this made it.
  Result<Tenant> tenant(uid_t uid);
  /// For probes.
  Result<Tenant> prober();

 private:
  Result<Tenant> at(const std::string& name, uid_t wanted);
  Result<uid_t> free_id() const;

  std::filesystem::path folder_;
  Range range_;
  bool own_;
};

}  // namespace amalgam::daemon
