// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/allowance.h"

#include <gtest/gtest.h>

namespace amalgam::daemon {
namespace {

TEST(Allowance, ABurstThenASteadyRate) {
  Allowance allowance(100, 5);
  uint64_t taken = 0;
  for (uint64_t now_ms = 1000; now_ms < 2000; ++now_ms)
    for (; allowance.there(now_ms) != 0; allowance.spend(1)) ++taken;
  EXPECT_EQ(taken, 5u + 99u);
}

TEST(Allowance, WhatCostsMoreIsPaidLater) {
  Allowance allowance(100, 5);
  EXPECT_EQ(allowance.there(1000), 5u);
  allowance.spend(15);
  EXPECT_EQ(allowance.there(1000), 0u);
  EXPECT_EQ(allowance.there(1100), 0u) << "ten were owed";
  EXPECT_EQ(allowance.there(1120), 2u);
}

TEST(Allowance, NotMoreThanABurstIsSaved) {
  Allowance allowance(100, 5);
  allowance.spend(5);
  EXPECT_FALSE(allowance.full(1));
  EXPECT_EQ(allowance.there(1'000'000'000), 5u);
  EXPECT_TRUE(allowance.full(1'000'000'000));
}

}  // namespace
}  // namespace amalgam::daemon
