// SPDX-License-Identifier: Apache-2.0
#include "core/session/execute/slow_lane.h"

#include "base/limits.h"

namespace amalgam::core {

SlowLane::~SlowLane() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    jobs_.clear();
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void SlowLane::submit(std::function<void()> job) {
  std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  if (idle_ < jobs_.size() && threads_.size() < kBuildThreads) threads_.emplace_back([this] { run(); });
  changed_.notify_one();
}

void SlowLane::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    changed_.wait(lock, [&] { return stop_ || !jobs_.empty(); });
    --idle_;
    if (stop_) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

}  // namespace amalgam::core
