// SPDX-License-Identifier: Apache-2.0
#include "model/confinement.h"

#include <gtest/gtest.h>

namespace amalgam::model {
namespace {

TEST(Confinement, HasAndLacksAreTheWhole) {
  EXPECT_EQ(Confinement().text(), "nothing");
  EXPECT_EQ(
      Confinement().lacking(),
      "own user id, dropped capabilities, listed system calls, landlock, own mounts, own processes, own ipc, own network, "
      "cgroup");
  const Confinement all{true, true, true, 7, kWalls, true, true, true, ""};
  EXPECT_EQ(all.text(),
            "own user id, no capabilities, listed system calls, landlock abi 7, own mounts processes ipc network, cgroup "
            "with memory tasks");
  EXPECT_EQ(all.lacking(), "");
}

TEST(Confinement, AGroupWithoutBoundsLacksThem) {
  const Confinement counted{true, true, true, 7, kWalls, true, false, true, ""};
  EXPECT_EQ(counted.lacking(), "memory bound");
}

TEST(Confinement, TheFloorIsUserCapabilitiesAndCalls) {
  Confinement floor{.own_user = true, .no_capabilities = true, .calls = true};
  EXPECT_TRUE(floor.reaches_floor());
  floor.own_user = false;
  EXPECT_FALSE(floor.reaches_floor());
}

}  // namespace
}  // namespace amalgam::model
