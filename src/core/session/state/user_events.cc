// SPDX-License-Identifier: Apache-2.0
#include "core/session/state/user_events.h"

#include <algorithm>
#include <vector>

#include "core/session/state/natives.h"

namespace amalgam::core {

Result<south::EventPtr> UserEvents::make(ContextObject& context) {
  auto made = context.context->create_user_event();
  if (!made) return made;
  std::lock_guard lock(mutex_);
  constexpr size_t kSweepFrom = 1024;
  if (waiting_.size() >= std::max(kSweepFrom, sweep_at_)) {
    std::erase_if(waiting_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = 2 * waiting_.size();
  }
  waiting_[made->get()] = *made;
  return made;
}

bool UserEvents::take(const south::EventPtr& event) {
  std::lock_guard lock(mutex_);
  return waiting_.erase(event.get()) != 0;
}

Result<void> UserEvents::signal(const south::EventPtr& event, int32_t status) {
  if (!take(event)) return fail(Code::kInvalidArgument, "the event has ended before", native::kInvalidOperation);
  return event->signal(status);
}

void UserEvents::end(const south::EventPtr& event, int32_t status) {
  if (take(event)) (void)event->signal(std::min(status, 0));
}

bool UserEvents::is_waiting(const south::EventPtr& event) {
  std::lock_guard lock(mutex_);
  return waiting_.contains(event.get());
}

void UserEvents::end_all(int32_t status) {
  std::vector<south::EventPtr> pending;
  {
    std::lock_guard lock(mutex_);
    for (auto& [raw, weak] : waiting_)
      if (auto event = weak.lock()) pending.push_back(std::move(event));
  }
  for (auto& event : pending) (void)event->signal(status);
}

}  // namespace amalgam::core
