// SPDX-License-Identifier: Apache-2.0
#include "core/memory/memory_budget.h"

#include <algorithm>
#include <chrono>

#include "base/assert.h"

namespace amalgam::core {
namespace {

constexpr uint64_t kQuotaShareOfSlack = 32;  // a slice shared by many sessions must not be eaten up by their slack
constexpr int kMaxRounds = 16;               // other threads of this worker may take what came for us, but not for ever
constexpr uint64_t kSlackFloor = 64 * kKiB;

uint64_t fair_slack(uint64_t quota) {
  return quota == 0 ? kGrantSlackBytes : std::min(kGrantSlackBytes, quota / kQuotaShareOfSlack);
}

}  // namespace

MemoryBudget::MemoryBudget(Daemon& daemon, model::Counters* counters, uint64_t quota_bytes, uint64_t patience_ms)
    : daemon_(daemon), counters_(counters), slack_(fair_slack(quota_bytes)), patience_ms_(patience_ms) {}

uint64_t MemoryBudget::slack_for(uint64_t bytes) const {
  // As much again as is asked for: a program that allocates little holds little.
  return std::min(slack_, std::max(bytes, kSlackFloor));
}

Result<void> MemoryBudget::take(uint64_t bytes) {
  std::unique_lock lock(mutex_);
  if (bytes > INT64_MAX) return fail(Code::kOutOfMemory, "no pool has so many bytes");
  if (rebuilds_) {
    used_ += std::min(bytes, UINT64_MAX - used_);
    granted_ = std::max(granted_, used_);
    return {};
  }
  for (int round = 0; round < kMaxRounds; ++round) {
    uint64_t unused = granted_ - used_;
    if (unused >= bytes) {
      used_ += bytes;
      publish();
      return {};
    }
    Request request{bytes - unused, slack_for(bytes), false, {}};
    uint64_t number = ++next_request_;
    waiting_.emplace(number, &request);
    daemon_.send(protocol::Reserve{number, request.bytes, request.slack});
    changed_.wait_for(lock, std::chrono::milliseconds(patience_ms_), [&] { return request.answered; });
    waiting_.erase(number);
    if (!request.answered) return fail(Code::kUnavailable, "the daemon has not answered in time");
    if (!request.reason.empty() && granted_ - used_ < bytes) return fail(Code::kOutOfMemory, std::move(request.reason));
  }
  return fail(Code::kOutOfMemory, "other allocations of this session were faster");
}

void MemoryBudget::give_back(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  AMALGAM_ASSERT(bytes <= used_);
  used_ -= bytes;
  trim();
  publish();
}

void MemoryBudget::trim() {
  uint64_t unused = granted_ - used_;
  if (rebuilds_ || !waiting_.empty() || unused <= 2 * slack_) return;
  uint64_t surplus = unused - slack_;
  granted_ -= surplus;
  daemon_.send(protocol::Return{surplus, false});
}

void MemoryBudget::on_granted(const protocol::Granted& granted) {
  std::lock_guard lock(mutex_);
  granted_ += std::min(granted.bytes, UINT64_MAX - granted_);
  auto found = waiting_.find(granted.request);
  if (found != waiting_.end() && !found->second->answered) {
    found->second->answered = true;
    if (granted.bytes == 0) found->second->reason = granted.reason.empty() ? "the pool is used up" : granted.reason;
  }
  publish();
  changed_.notify_all();
}

void MemoryBudget::on_refused(const std::string& reason) {
  std::lock_guard lock(mutex_);
  for (auto& [number, request] : waiting_) {
    if (request->answered) continue;
    request->answered = true;
    request->reason = reason.empty() ? "refused" : reason;
  }
  changed_.notify_all();
}

void MemoryBudget::on_reclaim() {
  std::lock_guard lock(mutex_);
  uint64_t unused = granted_ - used_;
  // What a waiting take was granted a moment ago is about to be used.
  bool pending = std::any_of(waiting_.begin(), waiting_.end(), [](const auto& w) { return w.second->answered; });
  if (pending) unused = 0;
  granted_ -= unused;
  publish();
  daemon_.send(protocol::Return{unused, true});
}

void MemoryBudget::begin_rebuild() {
  std::lock_guard lock(mutex_);
  rebuilds_ = true;
}

void MemoryBudget::take_over(uint64_t granted) {
  std::lock_guard lock(mutex_);
  rebuilds_ = false;
  granted_ = std::max(granted, used_);
  publish();
}

void MemoryBudget::on_rejoin() {
  std::lock_guard lock(mutex_);
  daemon_.send(protocol::Held{granted_});
  for (auto& [number, request] : waiting_)
    if (!request->answered) daemon_.send(protocol::Reserve{number, request->bytes, request->slack});
}

uint64_t MemoryBudget::granted() const {
  std::lock_guard lock(mutex_);
  return granted_;
}

uint64_t MemoryBudget::used() const {
  std::lock_guard lock(mutex_);
  return used_;
}

void MemoryBudget::publish() {
  if (counters_ == nullptr) return;
  counters_->memory_now.store(used_, std::memory_order_relaxed);
  counters_->memory_granted.store(granted_, std::memory_order_relaxed);
  if (used_ > counters_->memory_peak.load(std::memory_order_relaxed))
    counters_->memory_peak.store(used_, std::memory_order_relaxed);
}

}  // namespace amalgam::core
