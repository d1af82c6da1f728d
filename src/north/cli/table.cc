// SPDX-License-Identifier: Apache-2.0
#include "north/cli/table.h"

#include <algorithm>

#include "north/cli/text.h"

namespace amalgam::cli {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kNarrowest = 8;

}  // namespace

std::vector<size_t> Table::widths(size_t width) const {
  std::vector<size_t> out;
  size_t total = 0;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t widest = display_width(columns_[c].title);
    for (const auto& row : rows_) widest = std::max(widest, display_width(row[c]));
    out.push_back(widest);
    total += widest + (c == 0 ? 0 : kGap);
  }
  while (width != 0 && total > width) {
    size_t victim = columns_.size();
    for (size_t c = 0; c < columns_.size(); ++c)
      if (columns_[c].flexible && out[c] > kNarrowest && (victim == columns_.size() || out[c] > out[victim])) victim = c;
    if (victim == columns_.size()) break;
    --out[victim];
    --total;
  }
  return out;
}

std::vector<std::string> Table::lines(size_t width) const {
  std::vector<size_t> wide = widths(width);
  std::vector<std::string> titles, out;
  for (const Column& column : columns_) titles.push_back(column.title);
  auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (size_t c = 0; c < columns_.size(); ++c) {
      std::string cell = clip(cells[c], wide[c]);
      std::string space(wide[c] - display_width(cell), ' ');
      if (c != 0) text.append(kGap, ' ');
      text += columns_[c].right ? space + cell : cell + space;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out.push_back(width == 0 ? text : clip(text, width));
  };
  line(titles);
  for (const auto& row : rows_) line(row);
  return out;
}

}  // namespace amalgam::cli
