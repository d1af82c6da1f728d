// SPDX-License-Identifier: Apache-2.0
#include "worker/place/following_placer.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "worker/place/affinity.h"

namespace amalgam::worker {
namespace {

/// Time passes only where a test says so: the machine may keep any of these threads from running for as long as it likes.
uint64_t now_ns = 0;
void take_long() { now_ns += 2 * FollowingPlacer::kLongNs; }
uint64_t used_ns = 0;

int first_of(const cpu_set_t& set) {
  int processor = 0;
  while (!CPU_ISSET(processor, &set)) ++processor;
  return processor;
}

int last_of(const cpu_set_t& set) {
  int processor = CPU_SETSIZE - 1;
  while (!CPU_ISSET(processor, &set)) --processor;
  return processor;
}

/// The test's own thread is the dispatcher.
class FollowingPlacerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (CPU_COUNT(&all_) < 2) GTEST_SKIP() << "there is nothing to choose with one processor";
  }
  void TearDown() override {
    EXPECT_TRUE(place(::gettid(), all_));
    EXPECT_TRUE(may_interrupt(::gettid(), true));
  }

  void wake_from(std::optional<unsigned> processor, unsigned times = FollowingPlacer::kSettle) {
    for (unsigned i = 0; i < times; ++i) {
      placer_.rest_begins(1);
      placer_.rest_ends(processor, false);
    }
  }
  /// Keeps all processors at work for two windows, with rests of 0.1 ms.
  void work() {
    for (uint64_t rested_ns = 0; rested_ns < 2 * WakeRelay::kWindowNs; rested_ns += 100'000) {
      placer_.rest_begins(1);
      now_ns += 100'000;
      used_ns += 100'000 * static_cast<uint64_t>(CPU_COUNT(&all_));
      placer_.rest_ends(from_last_, false);
    }
  }
  static bool interrupts_nobody() { return ::sched_getscheduler(0) == SCHED_BATCH; }
  bool is_at(int processor) const {
    const cpu_set_t now = own_processors(), there = only(processor);
    return CPU_EQUAL(&now, &there);
  }
  bool roams() const {
    const cpu_set_t now = own_processors();
    return CPU_EQUAL(&now, &all_);
  }

  const cpu_set_t all_ = own_processors();
  const int first_ = first_of(all_), last_ = last_of(all_);
  const unsigned from_first_ = static_cast<unsigned>(first_), from_last_ = static_cast<unsigned>(last_);
  FollowingPlacer placer_{::gettid(), all_, [] { return now_ns; }, [] { return used_ns; }};
};

TEST_F(FollowingPlacerTest, GoesWhereTheProgramIsWhenThatIsSure) {
  placer_.follow();
  wake_from(from_last_, FollowingPlacer::kSettle - 1);
  EXPECT_TRUE(roams()) << "not yet";
  wake_from(from_first_, 1);
  wake_from(from_last_, FollowingPlacer::kSettle - 1);
  EXPECT_TRUE(roams()) << "not in a row";
  wake_from(from_last_, 1);
  EXPECT_TRUE(is_at(last_));
  wake_from(from_first_);
  EXPECT_TRUE(is_at(first_)) << "the program has gone elsewhere";
}

TEST_F(FollowingPlacerTest, HeedsNobodyElse) {
  placer_.follow();
  wake_from(std::nullopt);
  wake_from(CPU_SETSIZE);
  wake_from(UINT32_MAX - 1);
  EXPECT_TRUE(roams());
  wake_from(from_last_, FollowingPlacer::kSettle - 1);
  wake_from(std::nullopt, 1);
  wake_from(from_last_, 1);
  EXPECT_TRUE(is_at(last_)) << "who is no program is no reason to begin again";
  wake_from(std::nullopt, FollowingPlacer::kSettle - 1);
  EXPECT_TRUE(is_at(last_));
  wake_from(std::nullopt, 1);
  EXPECT_TRUE(roams()) << "the program does not wait any more";
}

TEST_F(FollowingPlacerTest, OnlyWhereTheProcessMayRun) {
  FollowingPlacer narrow(::gettid(), only(first_), [] { return now_ns; });
  narrow.follow();
  for (unsigned i = 0; i < 2 * FollowingPlacer::kSettle; ++i) narrow.rest_ends(from_last_, false);
  EXPECT_TRUE(roams());
}

TEST_F(FollowingPlacerTest, IsLeftForLongWork) {
  placer_.follow();
  wake_from(from_last_);
  ASSERT_TRUE(is_at(last_));
  take_long();
  placer_.rest_begins(1);
  EXPECT_TRUE(roams());
  take_long();
  placer_.rest_ends(from_last_, false);
  EXPECT_TRUE(roams()) << "once is not enough again";
  wake_from(from_last_);
  EXPECT_TRUE(is_at(last_));
}

TEST_F(FollowingPlacerTest, IsLeftAfterALongRest) {
  placer_.follow();
  wake_from(from_last_);
  ASSERT_TRUE(is_at(last_));
  placer_.rest_begins(1);
  take_long();
  EXPECT_TRUE(is_at(last_));
  placer_.rest_ends(from_last_, false);
  EXPECT_TRUE(roams());
  for (unsigned i = 0; i < 2 * FollowingPlacer::kSettle; ++i) {
    placer_.rest_begins(1);
    take_long();
    placer_.rest_ends(from_last_, false);
  }
  EXPECT_TRUE(roams()) << "who launches now and then";
}

TEST_F(FollowingPlacerTest, IsLeftWhereThreadsMayBeStarted) {
  placer_.follow();
  wake_from(from_last_, FollowingPlacer::kSettle - 1);
  placer_.builds();
  wake_from(from_last_, FollowingPlacer::kSettle - 1);
  EXPECT_TRUE(roams()) << "a program that begins builds and waits all the time";
  wake_from(from_last_, 1);
  ASSERT_TRUE(is_at(last_));
  placer_.builds();
  EXPECT_TRUE(roams());
  placer_.stay(first_);
  placer_.builds();
  EXPECT_TRUE(is_at(first_)) << "somebody else has said so";
}

TEST_F(FollowingPlacerTest, FollowsNobodyUnlessToldTo) {
  wake_from(from_last_);
  EXPECT_TRUE(roams());
  placer_.stay(first_);
  EXPECT_TRUE(is_at(first_));
  wake_from(from_last_);
  take_long();
  placer_.rest_begins(1);
  EXPECT_TRUE(is_at(first_));
  placer_.follow();
  EXPECT_TRUE(roams()) << "until it is sure";
  placer_.stay(last_);
  placer_.follow();
  EXPECT_TRUE(roams());
}

TEST_F(FollowingPlacerTest, WhatWasStartedMeanwhileIsFreedWithIt) {
  placer_.follow();
  wake_from(from_last_);
  std::promise<cpu_set_t> inherited;
  std::promise<void> freed;
  std::thread late([&] {
    inherited.set_value(own_processors());
    freed.get_future().wait();
    EXPECT_TRUE(roams());
  });
  const cpu_set_t there = inherited.get_future().get(), expected = only(last_);
  EXPECT_TRUE(CPU_EQUAL(&there, &expected));
  wake_from(from_first_);
  placer_.builds();
  freed.set_value();
  late.join();
}

TEST_F(FollowingPlacerTest, RelaysAsABatchThreadThatMayRunAnywhere) {
  if (CPU_COUNT(&all_) > static_cast<int>(WakeRelay::kFew)) GTEST_SKIP() << "not with so many processors";
  work();
  EXPECT_FALSE(placer_.relays()) << "it has not been told to follow";
  placer_.follow();
  work();
  EXPECT_TRUE(placer_.relays());
  EXPECT_TRUE(interrupts_nobody());
  EXPECT_TRUE(roams());
  EXPECT_EQ(placer_.rest_begins(1), UINT64_MAX);
  placer_.rest_ends(std::nullopt, false);
  EXPECT_EQ(placer_.rest_begins(0), WakeRelay::kWindowNs) << "a program that pauses must not find a batch thread";
  now_ns += WakeRelay::kWindowNs;
  placer_.rest_ends(std::nullopt, false);
  EXPECT_FALSE(placer_.relays());
  EXPECT_FALSE(interrupts_nobody());
  EXPECT_EQ(placer_.rest_begins(0), UINT64_MAX);
}

TEST_F(FollowingPlacerTest, DoesNotRelayWhereItIsPutOrBuilds) {
  if (CPU_COUNT(&all_) > static_cast<int>(WakeRelay::kFew)) GTEST_SKIP() << "not with so many processors";
  placer_.follow();
  work();
  ASSERT_TRUE(placer_.relays());
  placer_.builds();
  EXPECT_FALSE(placer_.relays());
  EXPECT_FALSE(interrupts_nobody());
  work();
  ASSERT_TRUE(placer_.relays());
  placer_.stay(first_);
  EXPECT_FALSE(placer_.relays());
  EXPECT_FALSE(interrupts_nobody());
  EXPECT_TRUE(is_at(first_));
  work();
  EXPECT_FALSE(placer_.relays());
}

TEST_F(FollowingPlacerTest, OwnThreadsStartAnywhereAllTheSame) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer gives every thread attributes of its own";
#endif
  pthread_attr_t before;
  ASSERT_EQ(::pthread_getattr_default_np(&before), 0);
  ASSERT_TRUE(start_threads_in(all_));
  placer_.follow();
  wake_from(from_last_);
  ASSERT_TRUE(is_at(last_));
  std::thread([&] { EXPECT_TRUE(roams()); }).join();
  EXPECT_EQ(::pthread_setattr_default_np(&before), 0);
  ::pthread_attr_destroy(&before);
}

}  // namespace
}  // namespace amalgam::worker
