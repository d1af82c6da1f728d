// SPDX-License-Identifier: Apache-2.0
// Piece: where a piece lies in the launch that it was cut from; the extra trailing argument of a kernel's variant.
//
// Both sides declare the same thing in their own language (frontend/rewrite.cc has the device's): nothing but 64-bit words,
// so that no compiler can pad or align it differently. It is passed with clSetKernelArg(kernel, plan.arguments,
// sizeof(Piece), &piece).
//
// Threads: a plain value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace amalgam::split {

struct Piece {
  std::array<uint64_t, 3> global_size{1, 1, 1};  ///< of the whole launch; 1 in dimensions that it does not have
  std::array<uint64_t, 3> global_offset{};       ///< the program's own offset; 0 in dimensions that it does not have
  std::array<uint64_t, 3> group_count{1, 1, 1};  ///< work-groups of the whole launch
  std::array<uint64_t, 3> first_group{};         ///< the whole's number of this piece's first work-group
  uint64_t dimensions = 1;

  bool operator==(const Piece&) const = default;
};
static_assert(sizeof(Piece) == 13 * sizeof(uint64_t) && std::is_trivially_copyable_v<Piece>,
              "the device declares the same layout");

}  // namespace amalgam::split
