// SPDX-License-Identifier: Apache-2.0
// SlowLane: a few threads for jobs that take the driver seconds (builds), so that other commands go on meanwhile.
//
// Threads are started by the first jobs, at most kBuildThreads, and stay. The queue is bounded by its users: one job a
// module at a time. Destruction waits for the jobs that run and drops those that have not begun.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace amalgam::core {

class SlowLane {
 public:
  SlowLane() = default;
  ~SlowLane();
  SlowLane(const SlowLane&) = delete;
  SlowLane& operator=(const SlowLane&) = delete;

  /// Runs `job` on one of the lane's threads.
  void submit(std::function<void()> job);

 private:
  void run();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  bool stop_ = false;
};

}  // namespace amalgam::core
