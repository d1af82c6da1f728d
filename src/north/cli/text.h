// SPDX-License-Identifier: Apache-2.0
// Text that is safe to print and fits its place. A program's name comes from another process, so it may hold escape
// sequences that must not reach a terminal.
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace amalgam::cli {

/// Control characters and broken UTF-8 become '?'.
std::string printable(std::string_view text);
/// Columns that printable text takes; every code point counts as one.
size_t display_width(std::string_view text);
/// At most `width` columns; cut text ends in "…".
std::string clip(std::string_view text, size_t width);
/// `width` columns, of which `fraction` (clamped to 0…1) are filled. `utf8` false: '#' and '.'.
std::string bar(double fraction, size_t width, bool utf8);

}  // namespace amalgam::cli
