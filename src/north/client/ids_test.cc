// SPDX-License-Identifier: Apache-2.0
#include "north/client/ids.h"

#include <gtest/gtest.h>

#include <set>

#include "base/limits.h"

namespace amalgam::client {
namespace {

struct Thing : Tracked {
  Thing() : Tracked(TrackedKind::kStream) {}
};

TEST(IdPool, AStaleIdFindsNothingThoughItsSlotIsUsedAgain) {
  IdPool pool;
  Thing first, second;
  protocol::ObjectId a = pool.make(&first);
  pool.free(a);
  protocol::ObjectId b = pool.make(&second);
  EXPECT_EQ(protocol::slot_of(a), protocol::slot_of(b));
  EXPECT_NE(a, b);
  EXPECT_EQ(pool.find(a, [](Tracked*) { FAIL(); }), nullptr);
  EXPECT_EQ(pool.find(b, [](Tracked*) {}), &second);
  pool.free(a);  // twice: harmless
  EXPECT_EQ(pool.find(b, [](Tracked*) {}), &second);
}

TEST(IdPool, NoIdIsZeroAndTheBoundHolds) {
  IdPool pool;
  std::set<protocol::ObjectId> ids;
  for (uint64_t i = 1; i < kMaxObjects; ++i) {
    protocol::ObjectId id = pool.make(nullptr);
    ASSERT_NE(id, 0u);
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), kMaxObjects - 1);
  EXPECT_EQ(pool.make(nullptr), 0u);
  pool.free(*ids.begin());
  EXPECT_NE(pool.make(nullptr), 0u);
}

}  // namespace
}  // namespace amalgam::client
