// SPDX-License-Identifier: Apache-2.0
// The end of a worker's part in a session that moves: a last point (point.cc), and then nothing until it is told to stay.
#include <thread>

#include "core/session/execute/open_command.h"

namespace amalgam::core {

void Executor::hand_over(uint64_t patience_ms, HandedOverDone done) {
  mailbox_.send([this, patience_ms, done = std::move(done)]() mutable {
    leaving_.emplace(Leaving{protocol::monotonic_ns() + patience_ms * 1'000'000, std::move(done)});
  });
}

void Executor::stay() {
  may_stay_.store(1, std::memory_order_release);
  protocol::futex_wake_all(&may_stay_);
}

void Executor::try_to_leave() {
  std::vector<OpenCommand> commands;
  if (!come_to_rest(commands)) {
    if (protocol::monotonic_ns() < leaving_->until_ns) return std::this_thread::sleep_for(kLook);
    Leaving leaving = std::move(*leaving_);
    leaving_.reset();
    const char* why = outbox_.congested()      ? "the program does not read what comes back"
                      : lane_jobs_.load() != 0 ? "a program is being built for longer than that"
                                               : "a kernel runs for longer than that";
    return leaving.done(fail(Code::kTimeout, why));
  }
  Leaving leaving = std::move(*leaving_);
  leaving_.reset();
  may_stay_.store(0, std::memory_order_relaxed);
  auto left = take_point(commands);
  const bool has_left = left.has_value();
  leaving.done(std::move(left));
  if (has_left) stand_still();
  if (!config_.reliable) copies_.clear();
  outbox_.release();
}

/// The session is another worker's, or soon ours again.
void Executor::stand_still() {
  while (may_stay_.load(std::memory_order_acquire) == 0 && !commands_.closed())
    protocol::futex_wait(&may_stay_, 0, 1'000'000'000);
}

}  // namespace amalgam::core
