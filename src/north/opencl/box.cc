// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/box.h"

#include <algorithm>
#include <cstring>

namespace amalgam::opencl {

Pitches packed(size_t row_bytes, size_t rows) { return {row_bytes, row_bytes * rows}; }

void copy_all(std::byte* to, const std::byte* from, size_t size) { std::memcpy(to, from, size); }

void copy_changed(std::byte* to, const std::byte* from, size_t size) {
  constexpr size_t kStep = 4096;
  for (size_t at = 0; at < size; at += kStep) {
    const size_t now = std::min(kStep, size - at);
    if (std::memcmp(to + at, from + at, now) != 0) std::memcpy(to + at, from + at, now);
  }
}

void copy_box(std::byte* to, Pitches to_pitches, const std::byte* from, Pitches from_pitches, size_t row_bytes, size_t rows,
              size_t slices, Copy copy) {
  if (rows > 1 && to_pitches.row == row_bytes && from_pitches.row == row_bytes) {
    row_bytes *= rows;
    rows = 1;
  }
  if (rows == 1 && slices > 1 && to_pitches.slice == row_bytes && from_pitches.slice == row_bytes) {
    row_bytes *= slices;
    slices = 1;
  }
  for (size_t z = 0; z < slices; ++z)
    for (size_t y = 0; y < rows; ++y)
      copy(to + z * to_pitches.slice + y * to_pitches.row, from + z * from_pitches.slice + y * from_pitches.row, row_bytes);
}

uint64_t span_of(const std::array<uint64_t, 3>& origin, const std::array<uint64_t, 3>& extent, Pitches pitches) {
  using Wide = unsigned __int128;
  Wide end = Wide{origin[0]} + extent[0];
  end += (Wide{origin[1]} + extent[1] - 1) * pitches.row;
  end += (Wide{origin[2]} + extent[2] - 1) * pitches.slice;
  return end > UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(end);
}

}  // namespace amalgam::opencl
