// SPDX-License-Identifier: Apache-2.0
#include "core/split/cut.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

#include "base/limits.h"

namespace amalgam::split {
namespace {

Range line(uint64_t global, uint64_t local, uint64_t offset = 0) {
  return {1, {offset, 0, 0}, {global, 1, 1}, {local, 1, 1}};
}

uint64_t items_of(const Range& range) { return range.global[0] * range.global[1] * range.global[2]; }

/// Counts how often each work-item of a small range is in a launch, and checks each launch by itself.
class Coverage {
 public:
  explicit Coverage(const Range& whole) : whole_(whole), seen_(items_of(whole)) {}

  void add(const Launch& launch) {
    const Range& range = launch.range;
    uint64_t groups = 1;
    for (uint32_t d = 0; d < 3; ++d) {
      const uint64_t local = whole_.local[d], begin = range.offset[d] - whole_.offset[d];
      EXPECT_EQ(range.local[d], local);
      EXPECT_EQ(begin % local, 0u) << "a piece starts at a work-group";
      EXPECT_EQ(launch.piece.first_group[d], begin / local);
      EXPECT_EQ(launch.piece.global_size[d], whole_.global[d]);
      EXPECT_EQ(launch.piece.global_offset[d], whole_.offset[d]);
      EXPECT_EQ(launch.piece.group_count[d], (whole_.global[d] + local - 1) / local);
      if (begin + range.global[d] != whole_.global[d]) {
        EXPECT_EQ(range.global[d] % local, 0u) << "only the edge has partial groups";
      }
      groups *= (range.global[d] + local - 1) / local;
    }
    EXPECT_EQ(launch.groups, groups);
    EXPECT_EQ(launch.range.dimensions, whole_.dimensions);
    EXPECT_EQ(launch.piece.dimensions, whole_.dimensions);
    mark(range);
  }

  void expect_each_once() const {
    for (const int count : seen_) ASSERT_EQ(count, 1);
  }

 private:
  void mark(const Range& range) {
    for (uint64_t z = 0; z < range.global[2]; ++z) {
      for (uint64_t y = 0; y < range.global[1]; ++y) {
        for (uint64_t x = 0; x < range.global[0]; ++x) {
          const uint64_t at[3] = {x + range.offset[0] - whole_.offset[0], y + range.offset[1] - whole_.offset[1],
                                  z + range.offset[2] - whole_.offset[2]};
          ++seen_.at((at[2] * whole_.global[1] + at[1]) * whole_.global[0] + at[0]);
        }
      }
    }
  }

  Range whole_;
  std::vector<int> seen_;
};

Range random_range(std::mt19937_64& random) {
  Range range;
  range.dimensions = 1 + static_cast<uint32_t>(random() % 3);
  for (uint32_t d = 0; d < range.dimensions; ++d) {
    range.global[d] = 1 + random() % 20;
    range.local[d] = 1 + random() % 5;
    range.offset[d] = random() % 7;
  }
  return range;
}

TEST(CutTest, EveryItemOfAnyRangeIsInOnePieceOnce) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    const Range range = random_range(random);
    const uint64_t piece_groups = 1 + random() % 12;
    const auto cut = Cut::make(range, piece_groups);
    ASSERT_TRUE(cut);
    Coverage coverage(range);
    for (uint64_t i = 0; i < cut->size(); ++i) {
      const Launch launch = (*cut)[i];
      EXPECT_LE(launch.groups, piece_groups);
      coverage.add(launch);
    }
    coverage.expect_each_once();
  }
}

TEST(CutTest, BoxesOfChangingSizeCoverEveryItemOnceInOrder) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 2000; ++round) {
    const Range range = random_range(random);
    const auto grid = Grid::of(range);
    ASSERT_TRUE(grid);
    Coverage coverage(range);
    // Two owners, as two devices would share a launch.
    const uint64_t middle = random() % (grid->groups() + 1);
    for (const auto& [begin, end] : {std::pair{uint64_t{0}, middle}, std::pair{middle, grid->groups()}}) {
      for (uint64_t at = begin; at < end;) {
        const uint64_t most = random() % 9;
        const Launch launch = grid->box_at(at, most, end);
        EXPECT_LE(launch.groups, std::max<uint64_t>(most, 1));
        coverage.add(launch);
        at += launch.groups;
      }
    }
    coverage.expect_each_once();
  }
}

TEST(CutTest, CutsTheOutermostDimensionThatMakesPiecesSmallEnough) {
  const Range range{2, {}, {64, 32, 1}, {8, 4, 1}};  // 8 × 8 groups
  const auto rows = Cut::make(range, 16);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 4u);
  EXPECT_EQ((*rows)[1].range.offset, (std::array<uint64_t, 3>{0, 8, 0}));
  EXPECT_EQ((*rows)[1].range.global, (std::array<uint64_t, 3>{64, 8, 1}));
  const auto parts = Cut::make(range, 4);
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 16u);
  EXPECT_EQ((*parts)[3].range.offset, (std::array<uint64_t, 3>{32, 4, 0}));
}

TEST(CutTest, PiecesAreAlikeRatherThanOneTiny) {
  const auto cut = Cut::make(line(101, 1), 100);
  ASSERT_TRUE(cut);
  ASSERT_EQ(cut->size(), 2u);
  EXPECT_EQ((*cut)[0].groups, 51u);
  EXPECT_EQ((*cut)[1].groups, 50u);
}

TEST(CutTest, TheLastPieceHasThePartialGroup) {
  const auto cut = Cut::make(line(10, 4, 3), 1);
  ASSERT_TRUE(cut);
  ASSERT_EQ(cut->size(), 3u);
  EXPECT_EQ((*cut)[2].range.global[0], 2u);
  EXPECT_EQ((*cut)[2].range.offset[0], 11u);
  EXPECT_EQ((*cut)[2].range.local[0], 4u);
}

TEST(CutTest, ALaunchThatFitsIsOnePiece) {
  const auto cut = Cut::make(line(100, 10), 10);
  ASSERT_TRUE(cut);
  ASSERT_EQ(cut->size(), 1u);
  EXPECT_EQ((*cut)[0].range, line(100, 10));
}

TEST(CutTest, TheNumberOfPiecesIsBounded) {
  for (const uint64_t size : {uint64_t{1} << 40, (uint64_t{1} << 40) + 1, std::numeric_limits<uint64_t>::max()}) {
    const auto cut = Cut::make(line(size, 1), 0);
    ASSERT_TRUE(cut);
    EXPECT_LE(cut->size(), kMaxPieces);
    const Launch last = (*cut)[cut->size() - 1];
    EXPECT_EQ(last.range.offset[0] + last.range.global[0], size);
  }
  // Rows that the size does not divide would make nearly twice as many.
  const auto cut = Cut::make({2, {}, {1025, 3 * kMaxPieces, 1}, {1, 1, 1}}, 1024);
  ASSERT_TRUE(cut);
  EXPECT_LE(cut->size(), kMaxPieces);
}

TEST(CutTest, RefusesWhatIsNoRange) {
  EXPECT_EQ(Cut::make(line(0, 1), 1).error().code, Code::kInvalidArgument);
  EXPECT_EQ(Cut::make(line(8, 0), 1).error().code, Code::kInvalidArgument);
  EXPECT_EQ(Cut::make({0, {}, {1, 1, 1}, {1, 1, 1}}, 1).error().code, Code::kInvalidArgument);
  EXPECT_EQ(Cut::make({4, {}, {1, 1, 1}, {1, 1, 1}}, 1).error().code, Code::kInvalidArgument);
  EXPECT_EQ(Cut::make(line(2, 1, std::numeric_limits<uint64_t>::max()), 1).error().code, Code::kInvalidArgument);
  const uint64_t huge = uint64_t{1} << 40;
  EXPECT_EQ(Cut::make({2, {}, {huge, huge, 1}, {1, 1, 1}}, 1).error().code, Code::kLimit);
}

TEST(CutTest, DimensionsThatTheRangeDoesNotHaveAreNeutral) {
  const auto cut = Cut::make({1, {5, 99, 99}, {8, 99, 99}, {4, 99, 99}}, 1);
  ASSERT_TRUE(cut);
  ASSERT_EQ(cut->size(), 2u);
  const Piece expected{{8, 1, 1}, {5, 0, 0}, {2, 1, 1}, {1, 0, 0}, 1};
  EXPECT_EQ((*cut)[1].piece, expected);
}

}  // namespace
}  // namespace amalgam::split
