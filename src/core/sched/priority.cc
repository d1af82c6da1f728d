// SPDX-License-Identifier: Apache-2.0
// The policy `priority`: strict. The most urgent class that wants the device has it; within it, fair by weight. No guarantee
// and no bound of starvation holds between classes; caps hold, since they are applied before a policy is asked.
#include "core/sched/policy.h"

namespace amalgam::core {

Decision choose_priority(const Snapshot& snapshot, const Hints& hints) {
  if (snapshot.candidates.empty()) return {};
  return choose_in_class(snapshot, hints, most_urgent(snapshot.candidates));
}

}  // namespace amalgam::core
