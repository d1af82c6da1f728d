// SPDX-License-Identifier: Apache-2.0
// Console: what is known of the standard output: is it a terminal, how wide, may it get UTF-8.
//
// Threads: pure but for the environment.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace amalgam::cli {

struct Size {
  size_t columns = 0;  ///< 0: not a terminal, as wide as it gets
  size_t rows = 0;
};

/// The terminal's size now; in a pipe $COLUMNS and $LINES if they are set.
Size console_size();
/// By LC_ALL, LC_CTYPE, LANG, in the C library's order.
bool console_utf8();
bool console_is_terminal();

/// Writes everything to standard output; errors (a closed pipe) are ignored.
void write_out(std::string_view text);
void write_lines(const std::vector<std::string>& lines);

}  // namespace amalgam::cli
