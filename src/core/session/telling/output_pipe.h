// SPDX-License-Identifier: Apache-2.0
// OutputPipe: what kernels print on the worker's standard output, on its way to the program's.
//
//   kernel ─ printf ─▶ fd 1 = pipe ─▶ drain() ─▶ Output completions ─▶ the program's file descriptor
//
// A completion callback drains before it posts: the kernel has written everything by then, so the text comes before the
// completion. In between the control thread drains, so that a long kernel's text is seen while it runs, and a full pipe
// does not block it. A pipe, not a file: it is bounded, and a client that does not read stops the printer, not the worker.
//
// Threads: any. Blocking: never.
#pragma once

#include <mutex>

#include "base/limits.h"
#include "core/session/telling/outbox.h"
#include "protocol/waist/completions.h"

namespace amalgam::core {

class OutputPipe {
 public:
  static constexpr size_t kPieceBytes = 64 * kKiB;  ///< text of one Output; also the kernel's default capacity of a pipe

  /// `fd`: the non-blocking read end, kept by the caller; -1: nothing is ever printed.
  OutputPipe(int fd, Outbox& outbox) : fd_(fd), outbox_(outbox) {}

  /// Posts what has been written before the call, and perhaps more. Does not wake the client. True if there was anything.
  bool drain();
  /// The next so many bytes are known to the program.
  void skip(uint64_t bytes) {
    std::lock_guard lock(mutex_);
    skip_ = bytes;
  }

 private:
  const int fd_;
  Outbox& outbox_;
  std::mutex mutex_;
  uint64_t skip_ = 0;
  char piece_[kPieceBytes];
};

}  // namespace amalgam::core
