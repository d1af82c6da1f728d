// SPDX-License-Identifier: Apache-2.0
#include "north/client/event.h"

#include "north/client/session.h"

namespace amalgam::client {

void Event::release() {
  if (holds_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  end_user();
  if (id_ != 0) session_->release(id_, Session::Release::kAlong);
  destroy_(this);
}

bool Event::adopt_id() {
  id_ = session_->ids().make(this);
  return id_ != 0;
}

bool Event::adopt_id_as_user() {
  session_->gates().add_user();
  user_.store(true);
  return adopt_id();
}

void Event::end_user() {
  if (user_.exchange(false)) session_->gates().end_user();
}

void Event::when(int32_t at, std::function<void(int32_t)> reached) {
  {
    std::lock_guard lock(callbacks_mutex_);
    if (status() > at) {
      callbacks_.push_back({at, std::move(reached)});
      session_->hold_service();
      return;
    }
  }
  int32_t now = status();
  session_->defer([reached = std::move(reached), at, now] { reached(now < 0 ? now : at); });
}

bool Event::settle(int32_t status, const protocol::Timestamps& times) {
  std::vector<Callback> due;
  {
    std::lock_guard lock(callbacks_mutex_);
    int32_t before = status_.load(std::memory_order_relaxed);
    if (before <= kComplete || before <= status) return false;
    if (status <= kComplete && times.ended != 0) times_ = times;
    status_.store(status, std::memory_order_release);
    // Statuses are passed in their order: submitted before running before complete.
    for (int32_t step = kSubmitted; step >= kComplete; --step)
      for (Callback& callback : callbacks_)
        if (callback.reached && callback.at == step && status <= step) {
          due.push_back({callback.at, std::move(callback.reached)});
          callback.reached = nullptr;
        }
    std::erase_if(callbacks_, [](const Callback& c) { return !c.reached; });
  }
  if (status <= kComplete) end_user();
  for (Callback& callback : due) {
    session_->defer(
        [reached = std::move(callback.reached), at = callback.at, status] { reached(status < 0 ? status : at); });
    session_->drop_service();
  }
  return true;
}

}  // namespace amalgam::client
