// SPDX-License-Identifier: Apache-2.0
#include "worker/place/wake_relay.h"

#include <gtest/gtest.h>

namespace amalgam::worker {
namespace {

constexpr unsigned kProcessors = 2;
uint64_t used_ns = 0;

class WakeRelayTest : public testing::Test {
 protected:
  void SetUp() override { used_ns = 0; }
  /// A rest that ends so much later than the one before, while this process used a part of the processors.
  bool rest(uint64_t took_ns, double used = 0.8, bool at_work = true) {
    now_ns_ += took_ns;
    used_ns += static_cast<uint64_t>(used * kProcessors * static_cast<double>(took_ns));
    return relay_.is_worth_it({now_ns_, took_ns, at_work, false});
  }
  /// Rests of 0.1 ms for a window; what was said last.
  bool window(double used = 0.8, bool at_work = true) {
    constexpr uint64_t kRestNs = 100'000;
    bool said = false;
    for (uint64_t i = 0; i < WakeRelay::kWindowNs / kRestNs; ++i) said = rest(kRestNs, used, at_work);
    return said;
  }
  void stop_for(uint64_t ns) {
    now_ns_ += ns;
    (void)relay_.is_worth_it({now_ns_, ns, true, true});
  }

  uint64_t now_ns_ = 0;
  WakeRelay relay_{kProcessors, [] { return used_ns; }};
};

TEST_F(WakeRelayTest, IsWorthItForAProgramThatKeepsTheDeviceAtWork) {
  constexpr uint64_t kRestNs = WakeRelay::kWindowNs / 20;
  for (int i = 1; i < 20; ++i) EXPECT_FALSE(rest(kRestNs)) << "too little has been seen";
  EXPECT_TRUE(rest(kRestNs));
  EXPECT_TRUE(rest(kRestNs));
}

TEST_F(WakeRelayTest, NotBesideSomebodyElse) {
  EXPECT_FALSE(window(0.65));
  EXPECT_TRUE(window());
  EXPECT_FALSE(window(0.65));
}

TEST_F(WakeRelayTest, NotWhereNothingIsInFlight) {
  EXPECT_FALSE(window(0.8, false));
  EXPECT_TRUE(window());
}

TEST_F(WakeRelayTest, NotForFewRests) {
  for (unsigned i = 0; i < 10 * WakeRelay::kRests; ++i) EXPECT_FALSE(rest(WakeRelay::kBriskNs - 1)) << "six in a window";
}

TEST_F(WakeRelayTest, ALongRestEndsItForAWhile) {
  ASSERT_TRUE(window());
  EXPECT_FALSE(rest(WakeRelay::kBriskNs));
  for (unsigned i = 1; i < WakeRelay::kDoubt; ++i) EXPECT_FALSE(window()) << i;
  EXPECT_TRUE(window());
}

TEST_F(WakeRelayTest, AProgramThatPausesIsNotDoubted) {
  ASSERT_TRUE(window());
  EXPECT_FALSE(rest(WakeRelay::kWindowNs, 0, false));
  EXPECT_TRUE(window());
}

TEST_F(WakeRelayTest, LongRestsBeforeItAreNoReasonToDoubt) {
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(rest(WakeRelay::kBriskNs));
  EXPECT_TRUE(window());
}

TEST_F(WakeRelayTest, TimeThatTheProcessWasStoppedDoesNotCount) {
  ASSERT_TRUE(window());
  for (int turn = 0; turn < 10; ++turn) {
    stop_for(10 * WakeRelay::kWindowNs);
    for (int i = 0; i < 30; ++i) EXPECT_TRUE(rest(100'000));
  }
}

TEST_F(WakeRelayTest, NotWhereThereAreManyProcessors) {
  WakeRelay many(WakeRelay::kFew + 1, [] { return used_ns; });
  uint64_t now_ns = 0;
  for (int i = 0; i < 1000; ++i) {
    now_ns += 100'000;
    used_ns += (WakeRelay::kFew + 1) * 100'000;
    EXPECT_FALSE(many.is_worth_it({now_ns, 100'000, true, false}));
  }
}

}  // namespace
}  // namespace amalgam::worker
