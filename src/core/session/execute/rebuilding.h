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

/// What a build that has ended says is said for its call, whatever is being made again meanwhile.
class Executor::Speaker {
 public:
  Speaker(Executor& executor, uint32_t call) : executor_(executor), before_(executor.rebuilding_) {
    if (call != 0) executor_.rebuilding_ = nullptr;
    executor_.journal_.executing(0, call);
  }
  ~Speaker() { executor_.rebuilding_ = before_; }
  Speaker(const Speaker&) = delete;
  Speaker& operator=(const Speaker&) = delete;

 private:
  Executor& executor_;
  Rebuilding* before_;
};

}  // namespace amalgam::core
