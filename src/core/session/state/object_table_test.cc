// SPDX-License-Identifier: Apache-2.0
#include "core/session/state/object_table.h"

#include <gtest/gtest.h>

#include <random>

#include "base/limits.h"
#include "core/session/state/objects.h"

namespace amalgam::core {
namespace {

using protocol::make_id;

struct ObjectTableTest : ::testing::Test {
  int pokes = 0;
  DeferredDeleter deleter{[this] { ++pokes; }};
  ObjectTable table;
  Ref<SamplerObject> sampler() { return make_object<SamplerObject>(deleter); }
};

TEST_F(ObjectTableTest, FindsByKind) {
  ASSERT_TRUE(table.insert(make_id(5, 1), sampler()));
  EXPECT_NE(nullptr, table.find<SamplerObject>(make_id(5, 1)));
  EXPECT_EQ(nullptr, table.find<RegionObject>(make_id(5, 1)));
  EXPECT_EQ(nullptr, table.find(make_id(5, 2)));
  EXPECT_EQ(nullptr, table.find(make_id(4, 1)));
  EXPECT_EQ(nullptr, table.find(0));
  EXPECT_EQ(nullptr, table.find(UINT64_MAX));
}

TEST_F(ObjectTableTest, RefusesBadIds) {
  EXPECT_FALSE(table.insert(0, sampler()));
  EXPECT_FALSE(table.insert(make_id(0, 1), sampler()));
  EXPECT_FALSE(table.insert(make_id(1, 0), sampler())) << "generations begin at 1";
  EXPECT_FALSE(table.insert(make_id(kMaxObjects, 1), sampler()));
  EXPECT_TRUE(table.insert(make_id(kMaxObjects - 1, 1), sampler()));
  EXPECT_FALSE(table.insert(make_id(kMaxObjects - 1, 2), sampler())) << "in use";
}

TEST_F(ObjectTableTest, NeverRevivesAnId) {
  ASSERT_TRUE(table.insert(make_id(3, 7), sampler()));
  ASSERT_TRUE(table.erase(make_id(3, 7)));
  EXPECT_FALSE(table.erase(make_id(3, 7)));
  EXPECT_FALSE(table.insert(make_id(3, 7), sampler()));
  EXPECT_FALSE(table.insert(make_id(3, 6), sampler()));
  EXPECT_TRUE(table.insert(make_id(3, 8), sampler()));
}

TEST_F(ObjectTableTest, BuriesInsteadOfDeleting) {
  ASSERT_TRUE(table.insert(make_id(1, 1), sampler()));
  Ref<SamplerObject> kept(table.find<SamplerObject>(make_id(1, 1)));
  table.erase(make_id(1, 1));
  EXPECT_TRUE(deleter.empty());
  kept = {};
  EXPECT_FALSE(deleter.empty());
  EXPECT_EQ(1, pokes);
  deleter.clear();
  EXPECT_TRUE(deleter.empty());
}

TEST_F(ObjectTableTest, RandomIdsAreHarmless) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    protocol::ObjectId id = make_id(static_cast<uint32_t>(random() % 300), static_cast<uint32_t>(random() % 5));
    switch (random() % 3) {
      case 0: {
        bool was_free = table.check_free(id).has_value();
        EXPECT_EQ(was_free, table.insert(id, sampler()).has_value());
        break;
      }
      case 1: {
        bool there = table.find(id) != nullptr;
        EXPECT_EQ(there, table.erase(id));
        break;
      }
      default: table.find<KernelObject>(id);
    }
  }
  table.clear();
  EXPECT_EQ(0u, table.size());
}

}  // namespace
}  // namespace amalgam::core
