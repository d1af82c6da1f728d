// SPDX-License-Identifier: Apache-2.0
// Mailbox: what other threads leave for the dispatcher to do.
//
// Threads: send() any; run() the dispatcher. Blocking: never.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace amalgam::core {

class Mailbox {
 public:
  using Job = std::function<void()>;
  /// `poke` has the dispatcher come; called from any thread.
  explicit Mailbox(std::function<void()> poke) : poke_(std::move(poke)) {}

  void send(Job job) {
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    poke_();
  }
  void run() {
    std::vector<Job> jobs;
    {
      std::lock_guard lock(mutex_);
      jobs.swap(jobs_);
    }
    for (Job& job : jobs) job();
  }

 private:
  const std::function<void()> poke_;
  std::mutex mutex_;
  std::vector<Job> jobs_;
};

}  // namespace amalgam::core
