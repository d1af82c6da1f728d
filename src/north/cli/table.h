// SPDX-License-Identifier: Apache-2.0
// Table: aligned columns for a terminal of a given width.
//
// Columns are as wide as their widest cell. If the sum is over the width, the flexible ones shrink, widest first, down to
// eight columns; what still does not fit is cut at the right edge, so a line never wraps.
//
// Threads: a plain value.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace amalgam::cli {

struct Column {
  std::string title;
  bool right = false;     ///< numbers are aligned at their right
  bool flexible = false;  ///< names may be cut
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// One cell a column, already printable.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  /// Title line and rows, without line ends. `width` 0: as wide as it gets.
  std::vector<std::string> lines(size_t width) const;

 private:
  std::vector<size_t> widths(size_t width) const;
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace amalgam::cli
