// SPDX-License-Identifier: Apache-2.0
#include "core/split/cut.h"

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"

namespace amalgam::split {
namespace {

using Triple = std::array<uint64_t, 3>;

uint64_t divide_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

/// The launch of the box of `extent` groups that starts at group `start`.
Launch launch_of(const Range& range, const Triple& count, const Triple& start, const Triple& extent) {
  Launch launch;
  launch.range.dimensions = range.dimensions;
  launch.range.local = range.local;
  launch.groups = 1;
  for (uint32_t d = 0; d < 3; ++d) {
    const uint64_t begin = start[d] * range.local[d];
    const bool is_last = start[d] + extent[d] == count[d];
    launch.range.offset[d] = range.offset[d] + begin;
    launch.range.global[d] = is_last ? range.global[d] - begin : extent[d] * range.local[d];
    launch.groups *= extent[d];
  }
  launch.piece = {range.global, range.offset, count, start, range.dimensions};
  return launch;
}

}  // namespace

Result<Grid> Grid::of(const Range& range) {
  if (range.dimensions < 1 || range.dimensions > 3) return fail(Code::kInvalidArgument, "a range has 1 to 3 dimensions");
  Grid grid;
  grid.range_.dimensions = range.dimensions;
  for (uint32_t d = 0; d < range.dimensions; ++d) {
    uint64_t end = 0;
    if (range.global[d] == 0) return fail(Code::kInvalidArgument, "the range is empty");
    if (range.local[d] == 0) return fail(Code::kInvalidArgument, "the local size is not given");
    if (__builtin_add_overflow(range.offset[d], range.global[d], &end)) {
      return fail(Code::kInvalidArgument, "offset and size of the range pass 64 bits");
    }
    grid.range_.offset[d] = range.offset[d];
    grid.range_.global[d] = range.global[d];
    grid.range_.local[d] = range.local[d];
    grid.count_[d] = divide_up(range.global[d], range.local[d]);
    if (__builtin_mul_overflow(grid.groups_, grid.count_[d], &grid.groups_)) {
      return fail(Code::kLimit, "the range has more work-groups than 64 bits count");
    }
  }
  return grid;
}

Launch Grid::box_at(uint64_t first, uint64_t most, uint64_t end) const {
  AMALGAM_ASSERT(first < end && end <= groups_);
  most = std::clamp<uint64_t>(most, 1, end - first);
  Triple start{}, extent{1, 1, 1};
  uint64_t left = first;
  for (uint32_t d = 0; d < 3; ++d) {
    start[d] = left % count_[d];
    left /= count_[d];
  }
  // Grows along each dimension in turn; it may go on to the next only where it has taken all of this one.
  for (uint32_t d = 0; d < range_.dimensions; ++d) {
    extent[d] = std::min(most, count_[d] - start[d]);
    most /= extent[d];
    if (extent[d] != count_[d]) break;
  }
  return launch_of(range_, count_, start, extent);
}

Result<Cut> Cut::make(const Range& range, uint64_t piece_groups) {
  auto grid = Grid::of(range);
  if (!grid) return fail(std::move(grid.error()));
  Cut cut;
  cut.grid_ = *grid;
  piece_groups = std::max({piece_groups, uint64_t{1}, divide_up(grid->groups(), kMaxPieces)});
  // A row or plane that the size does not divide makes more pieces than the quotient says; a few doublings end that.
  for (cut.choose(piece_groups); cut.size_ > kMaxPieces; cut.choose(piece_groups)) {
    piece_groups = piece_groups > grid->groups() / 2 ? grid->groups() : 2 * piece_groups;
  }
  return cut;
}

void Cut::choose(uint64_t piece_groups) {
  const Triple& count = grid_.count_;
  uint64_t below = 1;  // groups in one step of dimension_
  dimension_ = 0;
  while (dimension_ + 1 < grid_.range_.dimensions && below * count[dimension_] <= piece_groups) below *= count[dimension_++];
  const uint64_t most = std::clamp<uint64_t>(piece_groups / below, 1, count[dimension_]);
  along_ = divide_up(count[dimension_], most);
  // As many pieces, all but alike: a last piece of one group would cost a launch and do nothing for anybody.
  step_ = divide_up(count[dimension_], along_);
  along_ = divide_up(count[dimension_], step_);
  size_ = along_;
  for (uint32_t d = dimension_ + 1; d < 3; ++d) size_ *= count[d];
}

Launch Cut::operator[](uint64_t index) const {
  AMALGAM_ASSERT(index < size_);
  const Triple& count = grid_.count_;
  Triple start{}, extent{1, 1, 1};
  for (uint32_t d = 0; d < dimension_; ++d) extent[d] = count[d];
  start[dimension_] = index % along_ * step_;
  extent[dimension_] = std::min(step_, count[dimension_] - start[dimension_]);
  uint64_t left = index / along_;
  for (uint32_t d = dimension_ + 1; d < 3; ++d) {
    start[d] = left % count[d];
    left /= count[d];
  }
  return launch_of(grid_.range_, count, start, extent);
}

}  // namespace amalgam::split
