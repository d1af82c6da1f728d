// SPDX-License-Identifier: Apache-2.0
// Units: how sizes, parts and times are read from people and shown to them, one way everywhere: in options, files, listings
// and messages.
//
//   bytes     512MiB  2GiB  2G  1.5 GiB  1048576      powers of 1024, however they are spelled
//   parts     30%  12.5%                              parts per million inside
//   times     5ms  800us  1.5s                        nanoseconds inside
//
// The parsers' errors say what would be right, without the text itself: the caller puts the option or key before it.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace amalgam {

inline constexpr uint32_t kWholePpm = 1'000'000;  ///< all of something, in parts per million

/// "0", "640 B", "1.5 GiB": three digits at most before the unit.
std::string format_bytes(uint64_t bytes);
/// "5GiB" and "5G" are 5 * 2^30, "5GB" is 5 * 10^9. Zero, signs, rest text and anything over 2^63 are refused.
Result<uint64_t> parse_bytes(std::string_view text);

/// "30%", "12.5%".
std::string format_percent(uint32_t ppm);
/// From `least_ppm` to 100 %.
Result<uint32_t> parse_percent(std::string_view text, uint32_t least_ppm = 0);

/// "5ms", "1.5us": exact, as parse_time() reads it.
std::string format_time(uint64_t ns);
/// At most a year.
Result<uint64_t> parse_time(std::string_view text);

/// "870 µs", "12.3 ms", "4.56 s", "3m04s", "2h15m", "3d05h": rounded, for people.
std::string format_duration(uint64_t ns);
/// "950", "12.3k", "4.5M".
std::string format_count(uint64_t count);

}  // namespace amalgam
