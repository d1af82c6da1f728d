// SPDX-License-Identifier: Apache-2.0
#include "core/memory/memory_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <random>
#include <thread>
#include <variant>
#include <vector>

namespace amalgam::core {
namespace {

using protocol::Granted;
using protocol::Held;
using protocol::Reserve;
using protocol::Return;

/// A daemon with a thread of its own and a pool of bytes; knows what it has granted.
class FakeDaemon : public MemoryBudget::Daemon {
 public:
  explicit FakeDaemon(uint64_t pool) : pool_(pool), thread_([this] { serve(); }) {}
  ~FakeDaemon() override {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void send(const Reserve& reserve) override { push(reserve); }
  void send(const Return& give) override { push(give); }
  void send(const Held& held) override { push(held); }
  void serve_for(MemoryBudget* budget) {
    std::lock_guard lock(mutex_);
    budget_ = budget;
    changed_.notify_all();
  }
  /// Waits until every message so far has been handled; bytes out.
  uint64_t settled() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return queue_.empty() && !busy_; });
    return out_;
  }
  /// It dies, and another one comes: it knows nothing, and forgets what was said before it is told what is held.
  void die() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !busy_; });
    rejoins_ = true;
    out_ = 0;
  }
  size_t unheard() {
    std::lock_guard lock(mutex_);
    return queue_.size();
  }
  std::atomic<uint64_t> reserves{0}, reclaims{0}, peak{0};

 private:
  using Message = std::variant<Reserve, Return, Held>;
  void push(Message message) {
    std::lock_guard lock(mutex_);
    queue_.push_back(message);
    changed_.notify_all();
  }
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stop_ || (!queue_.empty() && budget_ != nullptr); });
      if (stop_) return;
      Message message = queue_.front();
      queue_.pop_front();
      if (auto* held = std::get_if<Held>(&message)) {
        // One that nobody waits for any more answers a question of one that has died.
        if (rejoins_) out_ = held->granted_bytes;
        rejoins_ = false;
      } else if (rejoins_) {
        // It was said to the one that has died.
      } else if (auto* give = std::get_if<Return>(&message)) {
        ASSERT_LE(give->bytes, out_);
        out_ -= give->bytes;
        if (give->reclaim) ++reclaims;
      } else {
        auto reserve = std::get<Reserve>(message);
        ++reserves;
        uint64_t left = pool_ - out_, bytes = 0;
        if (reserve.bytes <= left) bytes = std::min(left, reserve.bytes + reserve.slack);
        out_ += bytes;
        if (out_ > peak) peak = out_;
        busy_ = true;
        lock.unlock();
        budget_->on_granted(Granted{reserve.request, bytes, bytes == 0 ? "used up" : ""});
        lock.lock();
        busy_ = false;
      }
      changed_.notify_all();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Message> queue_;
  uint64_t pool_, out_ = 0;
  MemoryBudget* budget_ = nullptr;
  bool stop_ = false, busy_ = false, rejoins_ = false;
  std::thread thread_;
};

TEST(MemoryBudget, TakesExactlyAndHoldsLittle) {
  FakeDaemon daemon(kGiB);
  model::Counters counters{};
  MemoryBudget budget(daemon, &counters, 0);
  daemon.serve_for(&budget);
  ASSERT_TRUE(budget.take(100));
  EXPECT_EQ(100u, budget.used());
  EXPECT_EQ(100u, counters.memory_now.load());
  EXPECT_GE(budget.granted(), 100u);
  EXPECT_LE(budget.granted(), 100 + kGrantSlackBytes);
  ASSERT_TRUE(budget.take(200));
  EXPECT_EQ(1u, daemon.reserves.load()) << "the slack must save the second round trip";
  budget.give_back(300);
  EXPECT_EQ(0u, budget.used());
  EXPECT_EQ(300u, counters.memory_peak.load());
}

TEST(MemoryBudget, IsRefusedWithTheReason) {
  FakeDaemon daemon(1000);
  MemoryBudget budget(daemon, nullptr, 1000);
  daemon.serve_for(&budget);
  auto taken = budget.take(1001);
  ASSERT_FALSE(taken);
  EXPECT_EQ(Code::kOutOfMemory, taken.error().code);
  EXPECT_EQ("used up", taken.error().message);
  EXPECT_EQ(0u, budget.used());
  ASSERT_TRUE(budget.take(1000)) << "all of the quota must be usable";
  EXPECT_FALSE(budget.take(1));
  EXPECT_FALSE(budget.take(UINT64_MAX));
}

TEST(MemoryBudget, ReturnsWhatIsTooMuch) {
  FakeDaemon daemon(kGiB);
  MemoryBudget budget(daemon, nullptr, 0);
  daemon.serve_for(&budget);
  ASSERT_TRUE(budget.take(512 * kMiB));
  budget.give_back(512 * kMiB);
  EXPECT_EQ(budget.granted(), daemon.settled());
  EXPECT_LE(budget.granted(), 2 * kGrantSlackBytes);
}

TEST(MemoryBudget, AnswersEveryReclaim) {
  FakeDaemon daemon(kGiB);
  MemoryBudget budget(daemon, nullptr, 0);
  daemon.serve_for(&budget);
  ASSERT_TRUE(budget.take(kMiB));
  budget.on_reclaim();
  EXPECT_EQ(kMiB, daemon.settled());
  EXPECT_EQ(kMiB, budget.granted());
  budget.on_reclaim();
  EXPECT_EQ(kMiB, daemon.settled());
  EXPECT_EQ(2u, daemon.reclaims.load());
}

TEST(MemoryBudget, RefusesWhenTheDaemonDoesNotAnswer) {
  FakeDaemon daemon(kGiB);
  MemoryBudget budget(daemon, nullptr, 0, 20);
  daemon.serve_for(&budget);
  ASSERT_TRUE(budget.take(kMiB));
  daemon.serve_for(nullptr);
  budget.give_back(kMiB);
  ASSERT_TRUE(budget.take(kMiB)) << "what is granted needs no daemon";
  auto taken = budget.take(kGiB / 2);
  ASSERT_FALSE(taken);
  EXPECT_EQ(Code::kUnavailable, taken.error().code);
}

TEST(MemoryBudget, AsksTheNextDaemonForWhatNobodyAnswered) {
  FakeDaemon daemon(kGiB);
  MemoryBudget budget(daemon, nullptr, 0, 60'000);
  std::thread back([&] {
    while (daemon.unheard() == 0) std::this_thread::yield();
    daemon.die();
    daemon.serve_for(&budget);
    budget.on_rejoin();
  });
  EXPECT_TRUE(budget.take(kMiB));
  back.join();
  EXPECT_EQ(budget.granted(), daemon.settled());
}

TEST(MemoryBudget, ThreadsNeverPassThePool) {
  constexpr uint64_t kPool = 64 * kMiB;
  FakeDaemon daemon(kPool);
  MemoryBudget budget(daemon, nullptr, kPool);
  daemon.serve_for(&budget);
  std::atomic<uint64_t> held{0}, refused{0};
  std::atomic<bool> done{false};
  std::thread reclaimer([&] {
    while (!done) {
      budget.on_reclaim();
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      std::vector<uint64_t> mine;
      for (int step = 0; step < 2000; ++step) {
        if (mine.empty() || random() % 2) {
          uint64_t bytes = 1 + random() % (4 * kMiB);
          if (!budget.take(bytes)) {
            ++refused;
            continue;
          }
          EXPECT_LE(held.fetch_add(bytes) + bytes, kPool);
          mine.push_back(bytes);
        } else {
          held -= mine.back();
          budget.give_back(mine.back());
          mine.pop_back();
        }
      }
      for (uint64_t bytes : mine) {
        held -= bytes;
        budget.give_back(bytes);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  done = true;
  reclaimer.join();
  EXPECT_EQ(0u, budget.used());
  EXPECT_EQ(budget.granted(), daemon.settled());
  EXPECT_LE(daemon.peak.load(), kPool);
}

TEST(MemoryBudget, SurvivesADaemonThatComesAndGoes) {
  constexpr uint64_t kPool = 64 * kMiB;
  FakeDaemon daemon(kPool);
  MemoryBudget budget(daemon, nullptr, 0, 60'000);
  daemon.serve_for(&budget);
  std::atomic<bool> done{false};
  std::thread worker([&] {
    std::mt19937_64 random(3);
    for (int step = 0; step < 500; ++step) {
      uint64_t bytes = 1 + random() % (8 * kMiB);
      ASSERT_TRUE(budget.take(bytes));
      budget.give_back(bytes);
    }
    done = true;
  });
  while (!done) {
    daemon.die();
    budget.on_rejoin();
    std::this_thread::yield();
  }
  worker.join();
  EXPECT_EQ(budget.granted(), daemon.settled());
}

}  // namespace
}  // namespace amalgam::core
