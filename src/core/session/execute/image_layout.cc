// SPDX-License-Identifier: Apache-2.0
#include "core/session/execute/image_layout.h"

#include <algorithm>

namespace amalgam::core {

uint64_t pixel_bytes(uint32_t channel_order, uint32_t channel_type) {
  uint64_t channels = 0;
  switch (channel_order) {
    case 0x10B0:
    case 0x10B1:
    case 0x10B8:
    case 0x10B9:
    case 0x10BA:
    case 0x10BD: channels = 1; break;  // R A I L Rx D
    case 0x10B2:
    case 0x10B3:
    case 0x10BB:
    case 0x10BE: channels = 2; break;  // RG RA RGx DS
    case 0x10B4:
    case 0x10BC:
    case 0x10BF: channels = 3; break;  // RGB RGBx sRGB
    case 0x10B5:
    case 0x10B6:
    case 0x10B7:
    case 0x10C0:
    case 0x10C1:
    case 0x10C2:
    case 0x10C3: channels = 4; break;
    default: return 0;
  }
  switch (channel_type) {
    case 0x10D0:
    case 0x10D2:
    case 0x10D7:
    case 0x10DA: return channels;  // 8 bits
    case 0x10D1:
    case 0x10D3:
    case 0x10D8:
    case 0x10DB:
    case 0x10DD: return channels * 2;  // 16 bits
    case 0x10D9:
    case 0x10DC:
    case 0x10DE: return channels * 4;  // 32 bits
    case 0x10D4:
    case 0x10D5: return 2;  // 565, 555
    case 0x10D6:
    case 0x10DF:
    case 0x10E0: return 4;  // 101010, 24, 101010-2
    default: return 0;
  }
}

ImageExtent image_extent(uint32_t image_type, uint64_t width, uint64_t height, uint64_t depth, uint64_t array_size) {
  switch (image_type) {
    case kImage2d: return {width, height, 1};
    case kImage3d: return {width, height, depth};
    case kImage2dArray: return {width, height, array_size};
    case kImage1dArray: return {width, array_size, 1};
    default: return {width, 1, 1};
  }
}

std::optional<uint64_t> box_bytes(const std::array<uint64_t, 3>& extent, uint64_t row_pitch, uint64_t slice_pitch) {
  auto [bytes, rows, slices] = extent;
  if (bytes == 0 || rows == 0 || slices == 0) return 0;
  uint64_t total = bytes, step = 0;
  if (row_pitch == 0) row_pitch = bytes;
  if (slice_pitch == 0 && __builtin_mul_overflow(row_pitch, rows, &slice_pitch)) return std::nullopt;
  if (__builtin_mul_overflow(row_pitch, rows - 1, &step) || __builtin_add_overflow(total, step, &total)) return std::nullopt;
  if (__builtin_mul_overflow(slice_pitch, slices - 1, &step) || __builtin_add_overflow(total, step, &total))
    return std::nullopt;
  if (total > uint64_t{1} << 63) return std::nullopt;
  return total;
}

}  // namespace amalgam::core
