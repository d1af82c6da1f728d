// SPDX-License-Identifier: Apache-2.0
#include "north/client/staging.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>
#include <random>

#include "base/limits.h"

namespace amalgam::client {
namespace {

constexpr uint64_t kBytes = 64 * kMiB;

class StagingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT_NE(base_, MAP_FAILED);
    staging_.open(static_cast<std::byte*>(base_), kBytes, [](uint64_t) { return true; });
  }
  void TearDown() override { ::munmap(base_, kBytes); }
  void* base_ = nullptr;
  Staging staging_;
};

TEST_F(StagingTest, RefusesWhatNeverFits) {
  EXPECT_EQ(staging_.take(0).size, 0u);
  EXPECT_EQ(staging_.take(kBytes + 1).size, 0u);
  EXPECT_EQ(staging_.take(kBytes).size, kBytes);
  EXPECT_EQ(staging_.take(1).size, 0u);
}

TEST_F(StagingTest, RandomTakesNeverOverlapAndAllComesBack) {
  std::mt19937 random(7);
  std::map<uint64_t, uint64_t> held;
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 2 == 0 || held.empty()) {
      protocol::BulkRef block = staging_.take(1 + random() % (3 * kMiB));
      if (block.size == 0) continue;
      auto next = held.lower_bound(block.offset);
      if (next != held.end()) {
        ASSERT_LE(block.offset + block.size, next->first);
      }
      if (next != held.begin()) {
        auto before = std::prev(next);
        ASSERT_LE(before->first + before->second, block.offset);
      }
      held[block.offset] = block.size;
    } else {
      auto victim = std::next(held.begin(), static_cast<long>(random() % held.size()));
      staging_.give_back({victim->first, victim->second});
      held.erase(victim);
    }
  }
  for (auto [offset, size] : held) staging_.give_back({offset, size});
  EXPECT_EQ(staging_.take(kBytes).size, kBytes);
}

TEST_F(StagingTest, ABlockGivesItselfBack) {
  {
    StagedBlock block(staging_, kBytes);
    ASSERT_TRUE(block.ok());
    StagedBlock moved = std::move(block);
    EXPECT_EQ(moved.ref().size, kBytes);
    EXPECT_FALSE(StagedBlock(staging_, 64).ok());
  }
  EXPECT_TRUE(StagedBlock(staging_, 64).ok());
  EXPECT_TRUE(StagedBlock(staging_, 0).ok());
}

}  // namespace
}  // namespace amalgam::client
