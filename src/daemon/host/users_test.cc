// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/users.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace amalgam::daemon {
namespace {

constexpr Bound kThings{"things", 100, 40, 10, "end one"};

std::string refusal(const Census& now, bool privileged = false) {
  auto room = check_room(kThings, now, privileged);
  if (room) return "";
  EXPECT_EQ(room.error().code, Code::kLimit);
  return room.error().message;
}

TEST(Users, RootAndTheDaemonsUserArePrivileged) {
  EXPECT_TRUE(is_privileged(0));
  EXPECT_TRUE(is_privileged(::geteuid()));
  EXPECT_FALSE(is_privileged(::geteuid() + 4001));
}

TEST(Users, OneUserMayHaveItsPart) {
  EXPECT_EQ(refusal({39, 39, 39}), "");
  EXPECT_EQ(refusal({40, 40, 40}), "things-per-user: you have 40, as many as one user may; end one");
  EXPECT_EQ(refusal({40, 40, 0}), "") << "another one has its own";
}

TEST(Users, AReserveIsKeptForThePrivileged) {
  EXPECT_EQ(refusal({89, 89, 3}), "");
  EXPECT_EQ(refusal({90, 90, 3}), "things: users have 90 together and the rest is kept for root; you have 3; end one");
  EXPECT_EQ(refusal({90, 90, 3}, true), "");
  EXPECT_EQ(refusal({95, 85, 3}), "") << "what the privileged have is not taken from the users' part";
}

TEST(Users, NobodyPassesWhatThereIs) {
  EXPECT_EQ(refusal({100, 85, 3}), "things: there are 100, as many as the daemon takes; you have 3; end one");
  EXPECT_EQ(refusal({100, 60, 40}, true), "things: there are 100, as many as the daemon takes; you have 40; end one");
}

}  // namespace
}  // namespace amalgam::daemon
