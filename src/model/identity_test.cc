// SPDX-License-Identifier: Apache-2.0
#include "model/identity.h"

#include <gtest/gtest.h>

namespace amalgam::model {
namespace {

TEST(Identity, TheProgramsOwnWordComesFirst) {
  for (Identity configured : {Identity::kUnsaid, Identity::kNative, Identity::kAmalgam})
    for (bool own_slice : {false, true}) {
      EXPECT_EQ(choose_identity("native", configured, own_slice), Identity::kNative);
      EXPECT_EQ(choose_identity("amalgam", configured, own_slice), Identity::kAmalgam);
    }
}

TEST(Identity, ThenTheDaemonsFileThenThePlace) {
  for (const char* nothing : {"", "Native", "something"}) {
    EXPECT_EQ(choose_identity(nothing, Identity::kNative, false), Identity::kNative);
    EXPECT_EQ(choose_identity(nothing, Identity::kAmalgam, true), Identity::kAmalgam);
    EXPECT_EQ(choose_identity(nothing, Identity::kUnsaid, true), Identity::kNative);
    EXPECT_EQ(choose_identity(nothing, Identity::kUnsaid, false), Identity::kAmalgam);
    EXPECT_EQ(choose_identity(nothing, static_cast<Identity>(77), false), Identity::kAmalgam) << "of a stranger";
  }
}

}  // namespace
}  // namespace amalgam::model
