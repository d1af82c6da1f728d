// SPDX-License-Identifier: Apache-2.0
#include "core/session/turns/turnstile.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "base/unique_fd.h"
#include "protocol/link/ring.h"

namespace amalgam::core {
namespace {

struct TurnstileTest : ::testing::Test {
  std::unique_ptr<model::Counters> counters = std::make_unique<model::Counters>();
  std::unique_ptr<model::Grants> grants = std::make_unique<model::Grants>();
  UniqueFd bell{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  Turnstile turnstile{grants.get(), *counters, bell.get()};
  std::atomic<uint32_t> interrupt{0};

  uint32_t in_flight(uint32_t device = 0) const { return counters->claims[device].in_flight; }
  bool rung() const {
    uint64_t count = 0;
    return ::read(bell.get(), &count, sizeof count) == sizeof count;
  }
  void grant(uint32_t device) {
    grants->devices[device].granted = 1;
    protocol::futex_wake_all(&grants->devices[device].granted);
  }
};

TEST_F(TurnstileTest, WithoutAPageEverybodyMayGo) {
  Turnstile open(nullptr, *counters, -1);
  EXPECT_TRUE(open.enter(0));
  open.leave(0);
  EXPECT_EQ(open.without_frozen(0, 7), 7u);
}

TEST_F(TurnstileTest, WhatMayNotGoLeavesNoTrace) {
  EXPECT_FALSE(turnstile.enter(0));
  EXPECT_EQ(in_flight(), 0u);
}

TEST_F(TurnstileTest, AddsUpFrozenTimeOfAllDevices) {
  EXPECT_EQ(turnstile.frozen_ns(), 0u);
  grants->devices[0].frozen_ns = 5;
  grants->devices[model::kMaxSessionDevices - 1].frozen_ns = 7;
  EXPECT_EQ(turnstile.frozen_ns(), 12u);
  EXPECT_EQ(Turnstile(nullptr, *counters, -1).frozen_ns(), 0u);
}

TEST_F(TurnstileTest, DevicesAreApart) {
  grant(3);
  EXPECT_FALSE(turnstile.enter(0));
  EXPECT_TRUE(turnstile.enter(3));
  EXPECT_EQ(in_flight(3), 1u);
  EXPECT_EQ(in_flight(0), 0u);
}

TEST_F(TurnstileTest, TheLastToLeaveSaysSinceWhenItIsIdle) {
  grant(0);
  ASSERT_TRUE(turnstile.enter(0));
  ASSERT_TRUE(turnstile.enter(0));
  turnstile.leave(0);
  EXPECT_EQ(in_flight(), 1u);
  uint64_t before = protocol::monotonic_ns();
  turnstile.leave(0);
  EXPECT_EQ(in_flight(), 0u);
  EXPECT_GE(counters->claims[0].idle_since_ns, before);
}

TEST_F(TurnstileTest, TheLastOfRevokedWorkRings) {
  grant(0);
  ASSERT_TRUE(turnstile.enter(0));
  turnstile.leave(0);
  EXPECT_FALSE(rung());
  ASSERT_TRUE(turnstile.enter(0));
  grants->devices[0].granted = 0;
  turnstile.leave(0);
  EXPECT_TRUE(rung());
}

TEST_F(TurnstileTest, WaitingAsksAndEndsWithTheGrant) {
  std::thread arbiter([this] {
    while (counters->claims[0].wanting == 0) std::this_thread::yield();
    grant(0);
  });
  turnstile.wait(0, interrupt);
  arbiter.join();
  EXPECT_TRUE(rung());
  EXPECT_EQ(counters->claims[0].wanting, 1u) << "an arbiter that looks now must not take it for idle";
  EXPECT_TRUE(turnstile.enter(0));
  EXPECT_EQ(counters->claims[0].wanting, 0u);
}

TEST_F(TurnstileTest, WhoWantsNothingAnyMoreSaysSo) {
  grant(0);
  grant(1);
  turnstile.wait(0, interrupt);
  turnstile.wait(1, interrupt);
  EXPECT_EQ(counters->claims[0].wanting, 0u) << "one at a time";
  EXPECT_EQ(counters->claims[1].wanting, 1u);
  EXPECT_TRUE(turnstile.enter(0));
  EXPECT_EQ(counters->claims[1].wanting, 1u);
  turnstile.want_nothing();
  EXPECT_EQ(counters->claims[1].wanting, 0u);
  turnstile.want_nothing();
}

TEST_F(TurnstileTest, WaitingEndsWithAnInterruptOrFreedom) {
  interrupt = 1;
  turnstile.wait(0, interrupt);
  EXPECT_FALSE(turnstile.enter(0));
  interrupt = 0;
  std::thread control([this] {
    while (counters->claims[0].wanting == 0) std::this_thread::yield();
    turnstile.set_free(true);
  });
  turnstile.wait(0, interrupt);
  control.join();
  EXPECT_TRUE(turnstile.enter(0));
  turnstile.leave(0);
  turnstile.set_free(false);
  EXPECT_FALSE(turnstile.enter(0));
}

TEST_F(TurnstileTest, FrozenTimeIsTakenOffOnce) {
  grants->devices[0].frozen_ns = 40;
  EXPECT_EQ(turnstile.without_frozen(0, 100), 60u);
  EXPECT_EQ(turnstile.without_frozen(0, 100), 100u);
  grants->devices[0].frozen_ns = 340;
  EXPECT_EQ(turnstile.without_frozen(0, 100), 0u) << "a command cannot have taken less than nothing";
}

}  // namespace
}  // namespace amalgam::core
