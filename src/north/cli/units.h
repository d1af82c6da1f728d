// SPDX-License-Identifier: Apache-2.0
// Units: numbers and names as people read and type them ("1.5 GiB", "2G", "3m04s"), and text that is safe to print.
//
// Why: every listing shows the same number the same way, and a program's name comes from another process, so it may hold
// escape sequences that must not reach a terminal.
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace amalgam::cli {

/// "0", "640 B", "1.5 GiB": three digits at most before the unit.
std::string format_bytes(uint64_t bytes);
/// "870 µs", "12.3 ms", "4.56 s", "3m04s", "2h15m".
std::string format_duration(uint64_t nanoseconds);
/// "950", "12.3k", "4.5M".
std::string format_count(uint64_t count);

/// Reads "512MiB", "2GiB", "2G", "1.5 GiB", "1048576". Units are powers of 1024, however they are spelled. Zero, signs,
/// rest text and anything over 2^63 are refused with examples.
Result<uint64_t> parse_bytes(std::string_view text);

/// Control characters and broken UTF-8 become '?'.
std::string printable(std::string_view text);
/// Columns that printable text takes; every code point counts as one.
size_t display_width(std::string_view text);
/// At most `width` columns; cut text ends in "…".
std::string clip(std::string_view text, size_t width);
/// `width` columns, of which `fraction` (clamped to 0…1) are filled. `utf8` false: '#' and '.'.
std::string bar(double fraction, size_t width, bool utf8);

}  // namespace amalgam::cli
