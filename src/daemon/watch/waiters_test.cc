// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch/waiters.h"

#include <gtest/gtest.h>

namespace amalgam::daemon {
namespace {

struct WaitersTest : testing::Test {
  /// Turns the loop until nothing is left to do but what comes after this.
  void turn(uint64_t ms) {
    loop->after_ms(ms, [this] { loop->stop(); });
    loop->run();
  }
  Waiters::Try attempt() {
    return [this] {
      ++tried;
      return there;
    };
  }
  std::unique_ptr<EventLoop> loop = std::move(EventLoop::create().value());
  Waiters waiters{*loop};
  int tried = 0;
  bool there = false;
};

TEST_F(WaitersTest, WhoCanBeAnsweredDoesNotWait) {
  there = true;
  waiters.ask(1, attempt());
  EXPECT_EQ(tried, 1);
  EXPECT_EQ(waiters.size(), 0u);
}

TEST_F(WaitersTest, HoweverMuchChangesTheyAreLookedAtOnce) {
  waiters.ask(1, attempt());
  for (int i = 0; i < 1000; ++i) waiters.changed();
  turn(0);
  EXPECT_EQ(tried, 2) << "at the question, and once for all changes";
  EXPECT_EQ(waiters.size(), 1u);
  there = true;
  waiters.changed();
  waiters.changed();
  while (waiters.size() != 0) turn(1);
  EXPECT_EQ(tried, 3);
}

TEST_F(WaitersTest, WhoHasGoneIsForgotten) {
  waiters.ask(1, attempt());
  waiters.ask(2, attempt());
  waiters.connection_closed(1);
  waiters.changed();
  turn(0);
  EXPECT_EQ(tried, 3);
  EXPECT_EQ(waiters.size(), 1u);
}

}  // namespace
}  // namespace amalgam::daemon
