// SPDX-License-Identifier: Apache-2.0
// Executor::Rebuilding: what of another worker's session is being made again. Included by session's own sources.
#pragma once

#include "core/session/execute/dispatch.h"

namespace amalgam::core {

struct Executor::Rebuilding {
  Making making;                            ///< of the object
  const PendingCommand* pending = nullptr;  ///< or the command
  bool in_heap = false;                     ///< what comes with it lies in the heap
  bool is_new = false;                      ///< which had not been sent at the point
  bool was_done = false;                    ///< and has ended before: its bytes in the heap may be the program's again
  Result<void> verdict;                     ///< on the call
};

}  // namespace amalgam::core
