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
  timer_ = loop_.after_ms(kEventTellMs, [this] {
    timer_ = 0;
    look();
  });
}

void Waiters::look() {
  auto waiting = std::exchange(waiting_, {});
  for (auto& [connection, attempt] : waiting) ask(connection, std::move(attempt));
}

}  // namespace amalgam::daemon
