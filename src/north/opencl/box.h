// SPDX-License-Identifier: Apache-2.0
// Boxes: three-dimensional ranges of bytes with pitches, as rectangles of buffers and images use them.
//
//   row_pitch: from one row to the next;  slice_pitch: from one slice to the next;  packed: no gaps
//
// Pure functions, tested alone. Threads: plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace amalgam::opencl {

struct Pitches {
  size_t row = 0, slice = 0;
};

/// Copies bytes.
void copy_all(std::byte* to, const std::byte* from, size_t size);
/// Writes only where bytes differ: the program's memory that stands for a region may be read-only.
void copy_changed(std::byte* to, const std::byte* from, size_t size);
using Copy = void (*)(std::byte* to, const std::byte* from, size_t size);

/// Copies `rows` rows of `row_bytes` in each of `slices` slices. Gapless neighbours are copied as one.
void copy_box(std::byte* to, Pitches to_pitches, const std::byte* from, Pitches from_pitches, size_t row_bytes, size_t rows,
              size_t slices, Copy copy = copy_all);

/// The pitches of a box without gaps.
Pitches packed(size_t row_bytes, size_t rows);

/// Bytes from a box's first to behind its last, without the gap behind the last row; UINT64_MAX if that is beyond 64 bits.
uint64_t span_of(const std::array<uint64_t, 3>& origin, const std::array<uint64_t, 3>& extent, Pitches pitches);

/// A part of a box, in elements, rows and slices.
struct Piece {
  std::array<uint64_t, 3> at{}, extent{};
};

/// Cuts a box into pieces of at most `most` packed bytes, in the order of their addresses: whole slices if they fit, else
/// rows of one slice, else parts of one row. Calls use(piece) until one returns another code than 0, which it returns.
template <typename Use>
int for_each_piece(const std::array<uint64_t, 3>& extent, uint64_t element_bytes, uint64_t most, Use use) {
  uint64_t row = extent[0] * element_bytes, slice = row * extent[1];
  auto step = [most](uint64_t unit, uint64_t whole) { return unit == 0 || most / unit >= whole ? whole : most / unit; };
  uint64_t slices = step(slice, extent[2]), rows = step(row, extent[1]), elements = step(element_bytes, extent[0]);
  if (slices != 0) rows = extent[1];
  if (rows != 0) elements = extent[0];
  slices = slices == 0 ? 1 : slices;
  rows = rows == 0 ? 1 : rows;
  auto left = [](uint64_t whole, uint64_t done, uint64_t most_now) {
    return whole - done < most_now ? whole - done : most_now;
  };
  for (uint64_t z = 0; z < extent[2]; z += slices)
    for (uint64_t y = 0; y < extent[1]; y += rows)
      for (uint64_t x = 0; x < extent[0]; x += elements) {
        Piece piece{{x, y, z}, {left(extent[0], x, elements), left(extent[1], y, rows), left(extent[2], z, slices)}};
        if (int result = use(piece); result != 0) return result;
      }
  return 0;
}

}  // namespace amalgam::opencl
