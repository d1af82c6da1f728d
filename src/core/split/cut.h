// SPDX-License-Identifier: Apache-2.0
// Cut: a launch's range as a row of pieces, each a range of whole work-groups that can be launched by itself.
//
//     dimension 1 ▲   ┌──────────────┐
//                 │   │ piece 2      │   The groups are numbered row by row, dimension 0 first. A piece is the largest box
//                 of at │   ├──────────────┤   most so many groups that starts at a number: whole planes, else whole rows,
//                 else a part │   │ piece 1      │   of one row. Together the boxes cover every group once, in the order of
//                 their numbers. │   ├──────────────┤ │   │ piece 0      │   Nothing is stored for a piece: piece i is
//                 computed from i, so a launch of a million pieces └───┴──────────────┴─▶ costs as much as one of two.
//
// A piece keeps the local size; its offset is the program's own plus where it starts, so global ids, local ids, barriers and
// local memory are right by themselves, and `piece` answers the rest (see piece.h). Groups at the far edge that the local
// size does not fill stay where they are: at the end of the last piece of their row.
//
// Two ways to use it: Cut makes pieces of one size, known by index; `box_at` takes the next box of any size from a group
// number on, for whoever adapts the size as it goes, or shares [0, groups) out to several devices: where a launch stands is
// one number.
//
// The caller sees to it that the whole launch is legal: an illegal one would be refused by the driver piece by piece, too
// late.
//
// Threads: plain values, pure functions, nothing allocates.
#pragma once

#include <array>
#include <cstdint>

#include "base/error.h"
#include "core/split/piece.h"

namespace amalgam::split {

/// What clEnqueueNDRangeKernel takes. Dimensions beyond `dimensions` are ignored.
struct Range {
  uint32_t dimensions = 1;
  std::array<uint64_t, 3> offset{};
  std::array<uint64_t, 3> global{1, 1, 1};
  std::array<uint64_t, 3> local{1, 1, 1};

  bool operator==(const Range&) const = default;
};

/// One piece: an ordinary launch, and its place in the whole.
struct Launch {
  Range range;
  Piece piece;
  uint64_t groups = 0;  ///< work-groups in this piece
};

/// A range that has been checked and counted.
class Grid {
 public:
  /// kInvalidArgument: no such range (dimensions not 1 to 3, an empty dimension, no local size, an offset that overflows);
  /// kLimit: more work-groups than 64 bits count.
  static Result<Grid> of(const Range& range);

  /// Work-groups of the whole launch.
  uint64_t groups() const { return groups_; }

  /// The largest box of at most `most` groups that starts at group number `first` and ends before `end`. Asks first < end <=
  /// groups(); `most` 0 is taken as 1. The next box starts at first + result.groups.
  Launch box_at(uint64_t first, uint64_t most, uint64_t end) const;

 private:
  friend class Cut;
  Range range_;  // with neutral values in the dimensions that it does not have
  std::array<uint64_t, 3> count_{1, 1, 1};
  uint64_t groups_ = 1;
};

/// A launch in pieces of one size (the last along each cut may be smaller).
class Cut {
 public:
  /// Pieces of at most `piece_groups` groups, at least one; larger where that would make more than kMaxPieces. Errors: as
  /// Grid::of.
  static Result<Cut> make(const Range& range, uint64_t piece_groups);

  /// The number of pieces; 1 means that the launch is not cut.
  uint64_t size() const { return size_; }
  /// Piece i, i < size(). Pieces are in the order of their group numbers.
  Launch operator[](uint64_t index) const;

 private:
  void choose(uint64_t piece_groups);

  Grid grid_;
  uint32_t dimension_ = 0;  // cut here; dimensions below are whole, those above are single groups
  uint64_t step_ = 1;       // groups of a piece along dimension_
  uint64_t along_ = 1;      // pieces along dimension_
  uint64_t size_ = 1;
};

}  // namespace amalgam::split
