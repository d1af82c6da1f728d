// SPDX-License-Identifier: Apache-2.0
// LyingWorker: a worker that keeps the rules until it does not: completions that are garbled, lost, doubled, forged, and
// rings that are scribbled over.
//
// Threads: one, as Worker.
#pragma once

#include "tests/client/liar.h"
#include "tests/client/worker.h"

namespace amalgam::liar {

class LyingWorker final : public Worker {
 public:
  /// `told_before`: how many lies had been told when the session was asked for.
  LyingWorker(Liar& liar, uint64_t told_before, int ring_fd, int heap_fd, UniqueFd socket);

 private:
  void say(p::CompletionType type, uint32_t call, std::span<const std::byte> payload) override;
  bool idle() override { return liar_.told() == told_before_; }
  void lie(Choices& lies, p::CompletionType type, uint32_t call, std::span<const std::byte> payload);
  void forge(Choices& lies);
  void scribble(Choices& lies);
  p::ObjectId some_id(Choices& lies) const;

  Liar& liar_;
  uint64_t told_before_;
  uint64_t honest_left_ = 0, rate_ = 1;
};

}  // namespace amalgam::liar
