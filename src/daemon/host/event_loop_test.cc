// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <thread>

namespace amalgam::daemon {
namespace {

struct EventLoopTest : testing::Test {
  std::unique_ptr<EventLoop> loop = std::move(EventLoop::create().value());
};

TEST_F(EventLoopTest, TimersRunInOrderAndCanBeCancelled) {
  std::string order;
  loop->after_ms(2, [&] {
    order += "b";
    loop->stop();
  });
  loop->after_ms(0, [&] { order += "a"; });
  auto never = loop->after_ms(1, [&] { order += "x"; });
  loop->cancel(never);
  loop->cancel(never);
  loop->run();
  EXPECT_EQ(order, "ab");
}

TEST_F(EventLoopTest, OtherThreadsCanPost) {
  int sum = 0;
  std::thread other([&] {
    for (int i = 1; i <= 100; ++i) loop->post([&sum, i] { sum += i; });
    loop->stop();
  });
  loop->run();
  other.join();
  EXPECT_EQ(sum, 5050);
}

TEST_F(EventLoopTest, ARemovedWatchIsNotCalledInTheSameTurn) {
  int ends[2][2];
  ASSERT_EQ(::pipe(ends[0]), 0);
  ASSERT_EQ(::pipe(ends[1]), 0);
  int calls = 0;
  for (auto& pair : ends) {
    ASSERT_EQ(::write(pair[1], "x", 1), 1);
    ASSERT_TRUE(loop->watch(pair[0], EPOLLIN, [&](uint32_t) {
      ++calls;
      loop->unwatch(ends[0][0]);
      loop->unwatch(ends[1][0]);
      loop->stop();
    }));
  }
  loop->run();
  EXPECT_EQ(calls, 1);
  for (auto& pair : ends)
    for (int fd : pair) ::close(fd);
}

TEST_F(EventLoopTest, ALoopOfZeroTimersDoesNotStarveTheRest) {
  int turns = 0;
  std::function<void()> again = [&] {
    ++turns;
    loop->after_ms(0, again);
  };
  loop->after_ms(0, again);
  loop->after_ms(3, [&] { loop->stop(); });
  loop->run();
  EXPECT_GT(turns, 0);
}

}  // namespace
}  // namespace amalgam::daemon
