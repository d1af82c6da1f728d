// SPDX-License-Identifier: Apache-2.0
#include "core/session/state/copies.h"

#include <gtest/gtest.h>

namespace amalgam::core {
namespace {

/// Is never asked.
class Nobody final : public MemoryBudget::Daemon {
 public:
  void send(const protocol::Reserve&) override {}
  void send(const protocol::Return&) override {}
  void send(const protocol::Held&) override {}
};

class CopiesTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kBegin = kMiB, kEnd = 64 * kMiB;
  uint64_t used() const { return heap_.used_bytes(); }

  Nobody daemon_;
  MemoryBudget budget_{daemon_, nullptr, 0};
  Heap heap_{-1, kBegin, kEnd};
  Copies copies_{heap_, budget_, false};
};

bool none(protocol::ObjectId, uint64_t) { return false; }

TEST_F(CopiesTest, TheOldCopyIsThereUntilThePointCounts) {
  const uint64_t first = *copies_.draft(1, 8192);
  EXPECT_FALSE(copies_.of(1)) << "a draft is none";
  copies_.commit(none);
  EXPECT_EQ(copies_.of(1), first);
  const uint64_t second = *copies_.draft(1, 8192);
  EXPECT_NE(second, first);
  EXPECT_EQ(copies_.of(1), first);
  EXPECT_EQ(used(), 2 * 8192U);
  copies_.discard();
  EXPECT_EQ(copies_.of(1), first);
  EXPECT_EQ(used(), 8192U);
}

TEST_F(CopiesTest, WhoIsNotNamedAtThePointGoes) {
  const uint64_t stays = *copies_.draft(1, 4096);
  ASSERT_TRUE(copies_.draft(2, 4096));
  copies_.commit(none);
  copies_.stays(1);
  ASSERT_TRUE(copies_.draft(3, 4096));
  copies_.commit(none);
  EXPECT_EQ(copies_.of(1), stays);
  EXPECT_FALSE(copies_.of(2));
  EXPECT_TRUE(copies_.of(3));
  EXPECT_EQ(used(), 2 * 4096U);
}

TEST_F(CopiesTest, WhatWritesTookGoesAtThePointUnlessTheyAreOpen) {
  ASSERT_TRUE(copies_.keep(9, 1, 4096));
  ASSERT_TRUE(copies_.keep(9, 2, 8192));
  EXPECT_EQ(copies_.kept_bytes(), 12288U);
  copies_.commit([](protocol::ObjectId stream, uint64_t number) { return stream == 9 && number == 2; });
  EXPECT_EQ(copies_.kept_bytes(), 8192U);
  EXPECT_EQ(used(), 8192U);
}

TEST_F(CopiesTest, AnotherWorkerHasTheSamePlaces) {
  const uint64_t region = *copies_.draft(1, 8192), kept = *copies_.keep(9, 2, 4096);
  copies_.commit([](protocol::ObjectId, uint64_t) { return true; });
  Nobody daemon;
  MemoryBudget budget(daemon, nullptr, 0);
  Heap heap(-1, kBegin, kEnd);
  Copies next(heap, budget, false);
  ASSERT_TRUE(next.restore(1, region, 8192));
  ASSERT_TRUE(next.restore_kept(9, 2, kept, 4096));
  EXPECT_TRUE(next.restore_kept(9, 2, kept, 4096)) << "a second try";
  EXPECT_FALSE(next.restore(2, region, 8192)) << "taken";
  EXPECT_EQ(next.of(1), region);
}

TEST(Copies, TakeQuotaAndGiveItBack) {
  Nobody daemon;
  MemoryBudget budget(daemon, nullptr, 0);
  budget.begin_rebuild();
  Heap heap(-1, kMiB, 2 * kMiB);
  Copies copies(heap, budget, true);
  ASSERT_TRUE(copies.draft(1, 6000));
  EXPECT_EQ(budget.used(), 6000U);
  auto refused = copies.draft(2, 2 * kMiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kOutOfMemory);
  EXPECT_EQ(budget.used(), 6000U) << "nothing is left of what was refused";
  copies.discard();
  EXPECT_EQ(budget.used(), 0U);
}

}  // namespace
}  // namespace amalgam::core
