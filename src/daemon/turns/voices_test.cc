// SPDX-License-Identifier: Apache-2.0
#include "daemon/turns/voices.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kNow = 1'000'000'000, kDeafNs = kDeafMs * 1'000'000;

struct VoicesTest : ::testing::Test {
  VoicesTest() { EXPECT_TRUE(voices.listen(bell.get(), 7, false)); }
  void ring() const {
    const uint64_t one = 1;
    EXPECT_EQ(::write(bell.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  }
  bool rings() const {
    epoll_event event{};
    return ::epoll_wait(epoll.get(), &event, 1, 0) == 1;
  }
  UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)}, bell{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  Voices voices{epoll.get()};
};

TEST_F(VoicesTest, WhoRingsTooOftenIsNotHeardForAMomentAndThenAtOnce) {
  uint64_t heard = 0;
  for (; heard < 2 * kWakeBurst; ++heard) {
    ring();
    if (!rings()) break;
    auto who = voices.hear(bell.get(), kNow);
    ASSERT_TRUE(who);
    EXPECT_EQ(who->session, 7u);
  }
  EXPECT_EQ(heard, kWakeBurst + 1) << "the last of them has deafened it";
  EXPECT_EQ(voices.listen_again(kNow + 1), kNow + kDeafNs);
  EXPECT_FALSE(rings());
  EXPECT_EQ(voices.listen_again(kNow + kDeafNs), UINT64_MAX);
  EXPECT_TRUE(rings()) << "what it rang for meanwhile";
}

TEST_F(VoicesTest, WhoRestsInBetweenIsAlwaysHeard) {
  for (uint64_t i = 0; i < 3 * kWakesPerSecond; ++i) {
    ring();
    ASSERT_TRUE(rings());
    ASSERT_TRUE(voices.hear(bell.get(), kNow + i * 1'000'000'000 / kWakesPerSecond));
  }
}

TEST_F(VoicesTest, WhoIsForgottenIsNobody) {
  voices.ignore(bell.get(), kNow + 1);
  voices.forget(7);
  EXPECT_EQ(voices.listen_again(2 * kNow), UINT64_MAX);
  ring();
  EXPECT_FALSE(rings());
  EXPECT_FALSE(voices.hear(bell.get(), kNow));
}

}  // namespace
}  // namespace amalgam::daemon
