// SPDX-License-Identifier: Apache-2.0
#include "daemon/turns/meter.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "tests/daemon/stand_in.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr int kPatienceMs = 10'000, kAWhileMs = 50;

bool rings(const Alarms& alarms, int patience_ms) {
  pollfd ready{alarms.fd(), POLLIN, 0};
  return ::poll(&ready, 1, patience_ms) == 1;
}

TEST(Meter, CountsWhatAProcessRanAndNotWhatItSlept) {
  StandIn computes(1, 1, true), sleeps(2, 2);
  Meter busy(computes.pid, 1, nullptr), idle(sleeps.pid, 2, nullptr);
  ::usleep(30'000);
  EXPECT_GT(busy.take(), kMs);
  (void)idle.take();
  ::usleep(30'000);
  EXPECT_EQ(idle.take(), 0u);
  EXPECT_EQ(Meter().take(), 0u);
}

TEST(Meter, RingsWhenSoMuchWasRunAndNamesTheSession) {
  auto alarms = Alarms::create();
  ASSERT_TRUE(alarms);
  StandIn computes(41, 1, true), sleeps(42, 2);
  Meter busy(computes.pid, 41, &*alarms), idle(sleeps.pid, 42, &*alarms);
  idle.arm(kMs);
  EXPECT_FALSE(rings(*alarms, kAWhileMs)) << "time passes, and it does not run";
  busy.arm(kMs);
  ASSERT_TRUE(rings(*alarms, kPatienceMs));
  std::vector<uint64_t> sessions;
  alarms->take([&](uint64_t session) { sessions.push_back(session); });
  EXPECT_EQ(sessions, std::vector<uint64_t>{41});
  EXPECT_FALSE(rings(*alarms, kAWhileMs)) << "once";
}

TEST(Meter, IsSilentWhenItIsGone) {
  auto alarms = Alarms::create();
  ASSERT_TRUE(alarms);
  StandIn computes(1, 1, true);
  {
    Meter meter(computes.pid, 1, &*alarms);
    Meter moved = std::move(meter);
    moved.arm(100 * kMs);
  }
  EXPECT_FALSE(rings(*alarms, 4 * kAWhileMs));
}

TEST(Margin, ComesBackWithTheClockAndPaysWhatIsOwedFirst) {
  Margin margin(10, 100);
  EXPECT_EQ(margin.spend(60, 1000), 0u);
  EXPECT_EQ(margin.spend(60, 1000), 20u);
  EXPECT_EQ(margin.spend(10, 1050), 5u) << "a tenth of what passed";
  EXPECT_EQ(margin.spend(1, 1055), 1u);
  EXPECT_EQ(margin.spend(1, 1060), 0u) << "nothing is lost to rounding";
  margin.owe(1'000'000, 1060);
  EXPECT_EQ(margin.left_ns(), 0u);
  EXPECT_EQ(margin.spend(1, 1150), 1u) << "it owed a tenth of the most";
  EXPECT_EQ(margin.spend(1, 1180), 0u);
  EXPECT_EQ(margin.spend(1000, 1'000'000), 900u) << "no more than the most";
}

}  // namespace
}  // namespace amalgam::daemon
