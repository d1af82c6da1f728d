// SPDX-License-Identifier: Apache-2.0
// Afterwards: what is to be done once the commands that are under way now have ended, as the callbacks of an object that
// some of them may still use.
//
// Nobody knows which commands use an object, so all that were sent before are waited for. Jobs run in the order in which
// they became due, without a lock, on the thread that takes them.
//
// Threads: any. Nothing blocks.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "protocol/waist/frame.h"

namespace amalgam::client {

class Afterwards {
 public:
  using Job = std::function<void()>;
  /// Streams, and the number up to which each must have come.
  using Until = std::vector<std::pair<protocol::ObjectId, uint64_t>>;

  void add(Until until, Job job) {
    std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(until), std::move(job)});
    count_.fetch_add(1, std::memory_order_release);
  }
  /// In a forked child: whoever held the lock is not there, and nothing of this will ever be due.
  void after_fork() {
    new (&mutex_) std::mutex;
    waiting_.clear();
    count_.store(0);
  }
  bool empty() const { return count_.load(std::memory_order_acquire) == 0; }
  template <typename Ended>
  bool has_due(Ended has_ended) {
    std::lock_guard lock(mutex_);
    return std::ranges::any_of(waiting_, [&](const Waiting& waiting) {
      return std::ranges::all_of(waiting.until, [&](const auto& place) { return has_ended(place.first, place.second); });
    });
  }
  /// Takes out those of which `has_ended(stream, number)` holds for each stream.
  template <typename Ended>
  std::vector<Job> take(Ended has_ended) {
    std::vector<Job> due;
    std::lock_guard lock(mutex_);
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      std::erase_if(at->until, [&](const auto& place) { return has_ended(place.first, place.second); });
      if (!at->until.empty()) {
        ++at;
        continue;
      }
      due.push_back(std::move(at->job));
      at = waiting_.erase(at);
    }
    count_.fetch_sub(due.size(), std::memory_order_acq_rel);
    return due;
  }

 private:
  struct Waiting {
    Until until;
    Job job;
  };
  std::mutex mutex_;
  std::deque<Waiting> waiting_;
  std::atomic<size_t> count_{0};
};

}  // namespace amalgam::client
