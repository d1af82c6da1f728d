// SPDX-License-Identifier: Apache-2.0
// Image layout: how many bytes an image's pixels take, computed without asking a driver.
//
// Used to reserve quota before the driver allocates, and to check that pixels which a client sends are all there. Every sum
// is checked: a client may ask for 2^63 rows.
//
// Threads: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace amalgam::core {

inline constexpr uint32_t kImage2d = 0x10F1, kImage3d = 0x10F2, kImage2dArray = 0x10F3, kImage1d = 0x10F4,
                          kImage1dArray = 0x10F5, kImage1dBuffer = 0x10F6;

/// Bytes of one pixel; 0 if the format is not known.
uint64_t pixel_bytes(uint32_t channel_order, uint32_t channel_type);

struct ImageExtent {
  uint64_t width = 0, rows = 1, slices = 1;
};
/// Width, rows and slices of the pixels in memory; arrays count as rows or slices.
ImageExtent image_extent(uint32_t image_type, uint64_t width, uint64_t height, uint64_t depth, uint64_t array_size);

/// Bytes from the first to behind the last of `extent` (bytes, rows, slices) with these pitches (0: packed). Nothing if that
/// is over 2^63.
std::optional<uint64_t> box_bytes(const std::array<uint64_t, 3>& extent, uint64_t row_pitch, uint64_t slice_pitch);

}  // namespace amalgam::core
