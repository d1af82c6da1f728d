// SPDX-License-Identifier: Apache-2.0
#include "worker/confine/files.h"

#include "worker/confine/landlock.h"

namespace amalgam::worker {

Result<void> fence_files(const VisiblePaths& paths, model::Confinement& report) {
  const int abi = Landlock::abi();
  if (abi == 0) return {};
  auto rules = Landlock::forbid_all(abi);
  if (!rules) return std::unexpected(std::move(rules.error()));
  for (const std::string& path : paths.readable) AMALGAM_TRY(rules->allow(path, Landlock::Allow::kRead), "landlock");
  for (const std::string& path : paths.devices) AMALGAM_TRY(rules->allow(path, Landlock::Allow::kDevice), "landlock");
  AMALGAM_TRY(rules->allow("/proc", Landlock::Allow::kRead), "landlock");
  AMALGAM_TRY(rules->allow(paths.cache, Landlock::Allow::kWrite), "landlock");
  // Scratch folders are the worker's own where there is an own root; else they are everybody's.
  if (report.has(model::kOwnMounts))
    for (const char* path : {"/tmp", "/dev/shm"}) AMALGAM_TRY(rules->allow(path, Landlock::Allow::kWrite), "landlock");
  if (auto enforced = rules->enforce(); !enforced) return enforced;
  report.landlock_abi = abi;
  return {};
}

}  // namespace amalgam::worker
