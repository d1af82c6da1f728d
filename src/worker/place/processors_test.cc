// SPDX-License-Identifier: Apache-2.0
#include "worker/place/processors.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "worker/place/affinity.h"

namespace amalgam::worker {

using protocol::Binding;

namespace {

std::set<int> allowed(pid_t thread = 0) {
  cpu_set_t set;
  EXPECT_EQ(::sched_getaffinity(thread, sizeof set, &set), 0);
  std::set<int> found;
  for (int processor = 0; processor < CPU_SETSIZE; ++processor)
    if (CPU_ISSET(processor, &set)) found.insert(processor);
  return found;
}

/// Threads that do nothing, as a driver starts them.
class Pool {
 public:
  Pool(size_t count, const std::string& name) {
    for (size_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, name, i] {
        if (!name.empty()) pthread_setname_np(pthread_self(), (name + std::to_string(i)).c_str());
        ready_.fetch_add(1);
        stop_.wait(false);
      });
    }
    while (ready_.load() != count) std::this_thread::yield();
  }
  ~Pool() {
    stop_ = true;
    stop_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

 private:
  std::atomic<size_t> ready_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

/// Of a process whose dispatcher is its first thread.
struct FirstThread {
  FollowingPlacer placer{::getpid(), own_processors()};
};
struct Threads : FirstThread, ComputeThreads {
  Threads() : ComputeThreads(placer, own_processors()) {}
};

/// Where the threads that are not in `before` may run.
std::vector<std::set<int>> places_since(const std::vector<pid_t>& before) {
  std::vector<std::set<int>> found;
  for (pid_t thread : thread_ids())
    if (!std::binary_search(before.begin(), before.end(), thread)) found.push_back(allowed(thread));
  return found;
}

TEST(Processors, ListsTheCaller) {
  auto all = thread_ids();
  EXPECT_TRUE(std::binary_search(all.begin(), all.end(), ::gettid()));
}

TEST(ComputeThreads, HaveAProcessorEachWhileTheyAreBound) {
  const auto all = allowed();
  std::thread([] {}).join();  // with the first thread a sanitizer starts one of its own
  const auto before = thread_ids();
  Pool pool(2 * all.size(), "");
  Threads threads;
  threads.note(before);
  for (const auto& places : places_since(before)) EXPECT_EQ(places, all) << "nobody has said so yet";

  threads.bind(3, Binding::kEach);
  threads.bind(1, Binding::kEach);
  EXPECT_EQ(threads.bound(), 2 * all.size());
  std::map<int, int> used;
  for (const auto& places : places_since(before)) {
    ASSERT_EQ(places.size(), 1u);
    ++used[*places.begin()];
  }
  ASSERT_EQ(used.size(), all.size());
  for (auto [processor, count] : used) EXPECT_EQ(count, 2) << processor;
  EXPECT_EQ(allowed(::gettid()), all) << "what was there before is left alone";

  threads.bind(3, Binding::kFree);
  EXPECT_EQ(threads.bound(), 2 * all.size()) << "one device is enough";
  threads.bind(1, Binding::kFree);
  EXPECT_EQ(threads.bound(), 0u);
  for (const auto& places : places_since(before)) EXPECT_EQ(places, all);
}

TEST(ComputeThreads, InterruptNobodyWhileTheyAreTogether) {
  const auto all = allowed();
  if (all.size() > 4) GTEST_SKIP() << "not where there are many processors";
  const auto before = thread_ids();
  Pool pool(all.size(), "");
  Threads threads;
  threads.note(before);
  auto policies = [&] {
    std::set<int> found;
    for (pid_t thread : threads.ids()) found.insert(::sched_getscheduler(thread));
    return found;
  };
  EXPECT_EQ(policies(), std::set<int>{SCHED_OTHER});
  threads.bind(0, Binding::kTogether);
  EXPECT_EQ(policies(), std::set<int>{SCHED_BATCH});
  EXPECT_EQ(::sched_getscheduler(::getpid()), SCHED_OTHER) << "the first thread is as it was";
  threads.bind(0, Binding::kEach);
  EXPECT_EQ(policies(), std::set<int>{SCHED_OTHER});
}

TEST(ComputeThreads, AreTogetherBesideTheFirstThread) {
  const auto all = allowed();
  if (all.size() == 1 || all.size() > 4) GTEST_SKIP() << "not where there are many processors, and not with one";
  const auto before = thread_ids();
  Pool pool(2 * all.size(), "");
  Threads threads;
  threads.note(before);
  threads.bind(0, Binding::kTogether);
  EXPECT_EQ(threads.bound(), 2 * all.size());
  std::set<std::set<int>> used;
  for (const auto& places : places_since(before)) used.insert(places);
  ASSERT_EQ(used.size(), 1u);
  ASSERT_EQ(used.begin()->size(), 1u);
  EXPECT_TRUE(all.contains(*used.begin()->begin()));

  EXPECT_EQ(allowed(::getpid()), *used.begin()) << "the first thread is there too";
  std::promise<std::set<int>> inherited;
  std::thread late([&] {
    const auto there = allowed();
    inherited.set_value(there);
    for (int i = 0; i < 1000 && allowed() == there; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(allowed(), all) << "what was started meanwhile is freed with it";
  });
  EXPECT_EQ(inherited.get_future().get(), *used.begin());

  threads.bind(1, Binding::kEach);
  late.join();
  EXPECT_EQ(allowed(::getpid()), all);
  used.clear();
  for (const auto& places : places_since(before)) used.insert(places);
  EXPECT_EQ(used.size(), all.size()) << "of two devices the larger word counts";
  threads.bind(1, Binding::kFree);
  EXPECT_EQ(threads.bound(), 2 * all.size());
  threads.bind(0, Binding::kFree);
  EXPECT_EQ(threads.bound(), 0u);
  for (const auto& places : places_since(before)) EXPECT_EQ(places, all);
}

TEST(ComputeThreads, AreFreedForAllDevicesAtOnce) {
  const auto all = allowed();
  const auto before = thread_ids();
  Pool pool(all.size(), "");
  Threads threads;
  threads.note(before);
  threads.bind(0, Binding::kEach);
  threads.bind(5, Binding::kEach);
  threads.free();
  EXPECT_EQ(threads.bound(), 0u);
  for (const auto& places : places_since(before)) EXPECT_EQ(places, all);
  threads.bind(5, Binding::kEach);
  EXPECT_EQ(threads.bound(), all.size());
}

TEST(ComputeThreads, ADeviceThatCannotBeIsIgnored) {
  const auto before = thread_ids();
  Pool pool(allowed().size(), "");
  Threads threads;
  threads.note(before);
  threads.bind(UINT32_MAX, Binding::kEach);
  EXPECT_EQ(threads.bound(), 0u);
}

TEST(ComputeThreads, HelpersWithOtherNamesDoNotCount) {
  const auto all = allowed();
  const auto before = thread_ids();
  Pool pool(all.size(), "compute-");
  Pool helper(all.size() + 1, "disk$");
  Threads threads;
  threads.note(before);
  threads.bind(0, Binding::kEach);
  EXPECT_EQ(threads.bound(), all.size() == 1 ? 3 : all.size()) << "with one processor any number is a multiple";
}

TEST(ComputeThreads, AnotherNumberIsLeftAlone) {
  const auto all = allowed();
  const auto before = thread_ids();
  Pool pool(all.size() + 1, "");
  Threads threads;
  threads.note(before);
  threads.bind(0, Binding::kEach);
  for (const auto& places : places_since(before)) EXPECT_EQ(places, all);
}

TEST(ComputeThreads, OnlyWhereTheProcessMayRun) {
  const auto all = allowed();
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(*all.rbegin(), &one);
  std::thread([&] {
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    const auto before = thread_ids();
    Pool pool(3, "");
    Threads threads;
    threads.note(before);
    threads.bind(0, Binding::kEach);
    EXPECT_EQ(threads.bound(), 3u);
    for (const auto& places : places_since(before)) EXPECT_EQ(places, std::set<int>{*all.rbegin()});
  }).join();
}

TEST(ComputeThreads, WhoHasEndedIsNotTakenForSomebodyElse) {
  const auto before = thread_ids();
  Threads threads;
  {
    Pool pool(allowed().size(), "");
    threads.note(before);
  }
  threads.bind(0, Binding::kEach);
  EXPECT_EQ(threads.bound(), 0u);
}

}  // namespace
}  // namespace amalgam::worker
