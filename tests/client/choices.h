// SPDX-License-Identifier: Apache-2.0
// Choices: where a test's decisions come from: a seed, or the bytes that a fuzzer gives, which end.
//
// Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>

#include "base/limits.h"

namespace amalgam::liar {

class Choices {
 public:
  explicit Choices(uint64_t seed) : random_(seed) {}
  explicit Choices(std::span<const uint8_t> bytes) : bytes_(bytes), seeded_(false) {}

  /// No more bytes: from here on everything is zero.
  bool used_up() const { return !seeded_ && bytes_.empty(); }
  uint8_t byte() {
    if (seeded_) return static_cast<uint8_t>(random_());
    if (bytes_.empty()) return 0;
    uint8_t value = bytes_[0];
    bytes_ = bytes_.subspan(1);
    return value;
  }
  uint64_t word() {
    if (seeded_) return random_();
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return value;
  }
  /// Below `count`, which is at most 256 where bytes are short.
  uint64_t below(uint64_t count) { return count <= 256 ? byte() % count : word() % count; }
  /// A number at the edge of something, more often than not.
  uint64_t edge(uint64_t heap_bytes) {
    const uint64_t edges[] = {0,
                              1,
                              2,
                              3,
                              8,
                              127,
                              128,
                              4095,
                              4096,
                              65536,
                              kStagingBytes - 4096,
                              kStagingBytes,
                              kStagingBytes + 8,
                              kStagingBytes + 4096,
                              heap_bytes - 4096,
                              heap_bytes - 64,
                              heap_bytes,
                              heap_bytes + 4096,
                              uint64_t{1} << 31,
                              uint64_t{1} << 32,
                              uint64_t{1} << 46,
                              uint64_t{1} << 63,
                              UINT64_MAX - 4095,
                              UINT64_MAX};
    const uint8_t how = byte();
    return how < 208 ? edges[how % std::size(edges)] : how < 232 ? how : word();
  }

 private:
  std::mt19937_64 random_;
  std::span<const uint8_t> bytes_;
  bool seeded_ = true;
};

}  // namespace amalgam::liar
