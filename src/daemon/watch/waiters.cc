// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch/waiters.h"

#include <utility>

#include "base/limits.h"

namespace amalgam::daemon {

void Waiters::ask(uint64_t connection, Try attempt) {
  if (!attempt()) waiting_.insert_or_assign(connection, std::move(attempt));
}

void Waiters::changed() {
  if (waiting_.empty() || timer_ != 0) return;
  const uint64_t since_ms = monotonic_ms() - looked_ms_;
  timer_ = loop_.after_ms(since_ms < kEventTellMs ? kEventTellMs - since_ms : 0, [this] {
    timer_ = 0;
    look();
  });
}

void Waiters::look() {
  looked_ms_ = monotonic_ms();
  auto waiting = std::exchange(waiting_, {});
  for (auto& [connection, attempt] : waiting) ask(connection, std::move(attempt));
}

}  // namespace amalgam::daemon
