// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/box.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace amalgam::opencl {
namespace {

std::vector<std::byte> numbered(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + 1);
  return bytes;
}

/// The same copy, byte by byte.
void copy_slowly(std::byte* to, Pitches t, const std::byte* from, Pitches f, size_t row_bytes, size_t rows, size_t slices) {
  for (size_t z = 0; z < slices; ++z)
    for (size_t y = 0; y < rows; ++y)
      for (size_t x = 0; x < row_bytes; ++x) to[z * t.slice + y * t.row + x] = from[z * f.slice + y * f.row + x];
}

TEST(Box, CopiesLikeTheDefinition) {
  const std::vector<std::byte> from = numbered(4096);
  const Pitches layouts[] = {{5, 20}, {5, 23}, {8, 32}, {8, 40}, {16, 64}};
  for (Pitches f : layouts)
    for (Pitches t : layouts)
      for (size_t rows : {1, 2, 4})
        for (size_t slices : {1, 3}) {
          std::vector<std::byte> got(4096), wanted(4096);
          copy_box(got.data(), t, from.data(), f, 5, rows, slices);
          copy_slowly(wanted.data(), t, from.data(), f, 5, rows, slices);
          EXPECT_EQ(got, wanted) << t.row << '/' << t.slice << " from " << f.row << '/' << f.slice;
        }
}

TEST(Box, CopiesNothingForAnEmptyBox) {
  std::byte byte{};
  copy_box(&byte, {1, 1}, &byte, {1, 1}, 1, 0, 1);
  copy_box(&byte, {1, 1}, &byte, {1, 1}, 1, 1, 0);
}

TEST(Box, SpanEndsBehindTheLastRow) {
  EXPECT_EQ(span_of({0, 0, 0}, {10, 1, 1}, {10, 10}), 10u);
  EXPECT_EQ(span_of({2, 1, 1}, {10, 3, 2}, {16, 64}), 2u + 10 + 3 * 16 + 2 * 64);
}

TEST(Box, SpanBeyondSixtyFourBitsIsTheLargest) {
  EXPECT_EQ(span_of({0, UINT64_MAX / 2, 0}, {1, 1, 1}, {16, 64}), UINT64_MAX);
  EXPECT_EQ(span_of({UINT64_MAX, 0, 0}, {UINT64_MAX, 1, 1}, {0, 0}), UINT64_MAX);
}

/// Every element belongs to exactly one piece, no piece is too large, and pieces come in the order of their addresses.
void check_pieces(std::array<uint64_t, 3> extent, uint64_t element_bytes, uint64_t most) {
  std::vector<int> seen(extent[0] * extent[1] * extent[2]);
  uint64_t next = 0;
  int result = for_each_piece(extent, element_bytes, most, [&](const Piece& piece) {
    EXPECT_LE(piece.extent[0] * piece.extent[1] * piece.extent[2] * element_bytes, most);
    for (uint64_t z = 0; z < piece.extent[2]; ++z)
      for (uint64_t y = 0; y < piece.extent[1]; ++y)
        for (uint64_t x = 0; x < piece.extent[0]; ++x) {
          uint64_t at = ((piece.at[2] + z) * extent[1] + piece.at[1] + y) * extent[0] + piece.at[0] + x;
          EXPECT_EQ(at, next++);
          seen[at] += 1;
        }
    return 0;
  });
  EXPECT_EQ(result, 0);
  for (int count : seen) EXPECT_EQ(count, 1);
}

TEST(Box, PiecesCoverTheBoxOnce) {
  for (uint64_t most : {16, 17, 64, 100, 1000, 100'000}) check_pieces({13, 7, 5}, 16, most);
  check_pieces({1, 1, 1}, 1, 1);
  check_pieces({100, 1, 1}, 4, 12);
}

TEST(Box, PiecesEndAtTheFirstError) {
  int calls = 0;
  EXPECT_EQ(for_each_piece({10, 1, 1}, 1, 1, [&](const Piece&) { return ++calls == 3 ? -5 : 0; }), -5);
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace amalgam::opencl
