// SPDX-License-Identifier: Apache-2.0
#include "daemon/devices/suspicion.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

constexpr uid_t kAlice = 4001, kBob = 4002, kCarol = 4003, kDave = 4004;
const std::string kCard = "opencl:0";

struct SuspicionTest : testing::Test {
  /// Sessions of this user open there and crash, one a second.
  void crash(uid_t user, uint64_t times = kFaultsPerUser, double part = 1) {
    for (uint64_t i = 0; i < times; ++i) {
      now_ms += 1000;
      suspicion.well(kCard, user, Suspicion::kOpened, now_ms);
      suspicion.fault(kCard, user, part, now_ms);
    }
  }
  void work(uid_t user) {
    suspicion.well(kCard, user, Suspicion::kOpened, now_ms);
    suspicion.well(kCard, user, Suspicion::kEndedWell, now_ms);
  }
  bool sick() const { return suspicion.judge(kCard, now_ms).sick; }
  Suspicion suspicion;
  uint64_t now_ms = 1'000'000;
};

TEST_F(SuspicionTest, OneTenantCannotCordonADevice) {
  crash(kAlice, 100'000);
  EXPECT_FALSE(sick());
  EXPECT_EQ(suspicion.judge(kCard, now_ms).against, 1u);
}

TEST_F(SuspicionTest, SeveralForWhomNothingWorksCan) {
  crash(kAlice);
  crash(kBob, kFaultsPerUser - 1);
  EXPECT_FALSE(sick());
  crash(kBob, 1);
  EXPECT_TRUE(sick());
}

TEST_F(SuspicionTest, NotAgainstAsManyForWhomItWorks) {
  work(kCarol);
  work(kDave);
  crash(kAlice, 1000);
  crash(kBob, 1000);
  work(kCarol);
  work(kDave);
  EXPECT_FALSE(sick()) << "two who crash their own workers against two whose sessions run";
  EXPECT_EQ(suspicion.judge(kCard, now_ms).in_favour, 2u);
  now_ms += 4 * kFaultHalfLifeMs;
  crash(kAlice);
  crash(kBob);
  EXPECT_TRUE(sick()) << "it has worked for others long ago";
}

TEST_F(SuspicionTest, WhoseSessionsAlsoEndWellDoesNotSpeakAgainst) {
  for (int i = 0; i < 20; ++i) {
    work(kAlice);
    suspicion.fault(kCard, kAlice, 1, now_ms);
  }
  crash(kBob);
  EXPECT_FALSE(sick());
}

TEST_F(SuspicionTest, FaultsAreForgotten) {
  crash(kAlice);
  now_ms += kFaultHalfLifeMs;
  EXPECT_EQ(suspicion.judge(kCard, now_ms).against, 0u);
  crash(kBob);
  EXPECT_FALSE(sick());
  now_ms += 100 * kFaultHalfLifeMs;
  EXPECT_EQ(suspicion.judge(kCard, now_ms).against, 0u);
}

TEST_F(SuspicionTest, AFaultOfSeveralDevicesIsPartOfOneOnEach) {
  crash(kAlice, kFaultsPerUser, 0.5);
  crash(kBob, kFaultsPerUser, 0.5);
  EXPECT_FALSE(sick());
  EXPECT_FALSE(suspicion.judge("opencl:1", now_ms).sick) << "another one";
}

TEST_F(SuspicionTest, ItIsSaidOnceThatAUserSpeaksAgainst) {
  int said = 0;
  for (uint64_t i = 0; i < 3 * kFaultsPerUser; ++i) said += suspicion.fault(kCard, kAlice, 1, ++now_ms) ? 1 : 0;
  EXPECT_EQ(said, 1);
}

TEST_F(SuspicionTest, TheDaemonsOwnProbeCountsAlone) {
  for (uint64_t i = 1; i < kFaultsPerUser; ++i) suspicion.probe_failed(kCard, now_ms += 1000);
  EXPECT_FALSE(sick());
  suspicion.probe_failed(kCard, now_ms += 1000);
  EXPECT_TRUE(sick());
  suspicion.forget(kCard);
  EXPECT_FALSE(sick());
}

TEST_F(SuspicionTest, WitnessesAreBounded) {
  crash(kAlice);
  for (uid_t user = 10'000; user < 10'000 + 4 * kFaultWitnesses; ++user) {
    suspicion.well(kCard, user, 0.01, now_ms);
  }
  EXPECT_EQ(suspicion.judge(kCard, now_ms).against, 1u) << "who says least is forgotten";
  for (uid_t user = 20'000; user < 20'000 + 4 * kFaultWitnesses; ++user) suspicion.fault(kCard, user, 10, now_ms);
  EXPECT_EQ(suspicion.judge(kCard, now_ms).against, kFaultWitnesses);
}

}  // namespace
}  // namespace amalgam::daemon
