// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch/ended_sessions.h"

#include <gtest/gtest.h>

namespace amalgam::daemon {
namespace {

EndedSession session_of(uint64_t number, uid_t uid) {
  EndedSession session;
  session.session = number;
  session.owner = uid;
  return session;
}

TEST(EndedSessions, TheOldestIsForgotten) {
  EndedSessions ended(3);
  for (uint64_t number = 1; number <= 5; ++number) ended.add(session_of(number, 1000));
  EXPECT_EQ(ended.size(), 3u);
  EXPECT_EQ(ended.find(2), nullptr);
  for (uint64_t number = 3; number <= 5; ++number) EXPECT_NE(ended.find(number), nullptr) << number;
  EXPECT_EQ(ended.find(6), nullptr);
}

TEST(EndedSessions, NobodyMakesItForgetAnothersOnes) {
  EndedSessions ended(4);
  ended.add(session_of(1, 1000));
  for (uint64_t number = 2; number <= 100; ++number) ended.add(session_of(number, 1001));
  EXPECT_NE(ended.find(1), nullptr);
  EXPECT_EQ(ended.find(97), nullptr);
  EXPECT_NE(ended.find(98), nullptr);
  EXPECT_EQ(ended.size(), 4u);
}

}  // namespace
}  // namespace amalgam::daemon
