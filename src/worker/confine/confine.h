// SPDX-License-Identifier: Apache-2.0
// Confinement of a worker: what it gives up because the kernels that it runs are a tenant's machine code.
//
//   Confine ─▶ paths ─▶ new root ─▶ limits ─▶ identity ─▶ Landlock ─▶ driver is opened ─▶ fence_calls() ─▶ tenant
//
// All but the system calls comes before the driver: Landlock binds only threads that start later, and kernels run on the
// driver's threads. seccomp can bind all threads at once, and comes after, since opening may need more than running.
// docs/decisions/0006-what-a-worker-may-do.md says why it is so.
//
// Threads: confine() from main, before there are any. Blocking: local file system calls.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "model/confinement.h"
#include "protocol/control/control.h"

namespace amalgam::worker {

/// `program`: paths of our own that are opened later. What the kernel cannot give is missing in the report; what was ordered
/// and fails is an error.
Result<model::Confinement> confine(const protocol::Confine& order, const std::vector<std::string>& program);

}  // namespace amalgam::worker
