// SPDX-License-Identifier: Apache-2.0
#include "base/nearest.h"

#include <gtest/gtest.h>

namespace amalgam {
namespace {

constexpr std::string_view kVerbs[] = {"run", "set", "devices", "ps", "status", "explain"};

TEST(Nearest, SlipsAreFound) {
  EXPECT_EQ(nearest("device", kVerbs), "devices");
  EXPECT_EQ(nearest("deviecs", kVerbs), "devices");
  EXPECT_EQ(nearest("rnu", kVerbs), "run");
  EXPECT_EQ(nearest("statsu", kVerbs), "status");
  EXPECT_EQ(nearest("expalni", kVerbs), "explain");
  EXPECT_EQ(nearest("pss", kVerbs), "ps");
}

TEST(Nearest, WhatIsFarIsNoGuess) {
  EXPECT_EQ(nearest("frobnicate", kVerbs), "");
  EXPECT_EQ(nearest("xyz", kVerbs), "");
  EXPECT_EQ(nearest("x", kVerbs), "");
  EXPECT_EQ(nearest("", kVerbs), "");
  EXPECT_EQ(nearest("run", {}), "");
  EXPECT_EQ(nearest(std::string(100'000, 'r'), kVerbs), "");
}

TEST(Nearest, AdviceNamesOneOrAll) {
  EXPECT_EQ(did_you_mean("pss", kVerbs), "did you mean \"ps\"?");
  EXPECT_EQ(did_you_mean("frobnicate", kVerbs), "use one of run, set, devices, ps, status, explain");
}

}  // namespace
}  // namespace amalgam
