// SPDX-License-Identifier: Apache-2.0
#include "worker/confine/confine.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/limits.h"
#include "worker/confine/files.h"
#include "worker/confine/identity.h"
#include "worker/confine/new_root.h"
#include "worker/confine/paths.h"

namespace amalgam::worker {
namespace {

/// Before it has lost the right to: when memory runs out it is a worker that ends, not its daemon.
void offer_to_die_first() {
  constexpr int kWorkerScore = 500;
  if (std::FILE* file = std::fopen("/proc/self/oom_score_adj", "we"); file != nullptr) {
    std::fprintf(file, "%d\n", kWorkerScore);
    std::fclose(file);
  }
}

void limit(int resource, rlim_t most) {
  rlimit now{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &now) != 0) return;
  now.rlim_max = std::min(now.rlim_max, most);
  now.rlim_cur = std::min(now.rlim_cur, now.rlim_max);
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &now);
}

void take_limits(const protocol::Confine& order) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_MSGQUEUE, 0);
  limit(RLIMIT_NICE, 0);
  limit(RLIMIT_RTPRIO, 0);
  limit(RLIMIT_FSIZE, kWorkerFileBytes);
  limit(RLIMIT_NOFILE, kWorkerOpenFiles);  // each may hold memory of the kernel's
  // Counted by user: where that is not the worker's own, it would be counted with everything else of his.
  if (order.own_user || (order.spaces & model::kOwnUsers) != 0) limit(RLIMIT_NPROC, kWorkerTasks);
}

}  // namespace

Result<model::Confinement> confine(const protocol::Confine& order, const std::vector<std::string>& program) {
  model::Confinement report;
  offer_to_die_first();
  auto paths = visible_paths(order, program);
  if (!paths) return std::unexpected(std::move(paths.error()).within("confine"));
  if ((order.spaces & model::kOwnMounts) != 0)
    AMALGAM_TRY(make_new_root(*paths, (order.spaces & model::kOwnProcesses) != 0), "confine");
  else if (::chdir("/") != 0)
    return fail(system_error("chdir /", errno));
  report.spaces = order.spaces;
  report.group_memory = order.counted;
  take_limits(order);
  AMALGAM_TRY(take_identity(order, report), "confine");
  AMALGAM_TRY(fence_files(*paths, report), "confine");
  return report;
}

}  // namespace amalgam::worker
