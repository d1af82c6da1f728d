// SPDX-License-Identifier: Apache-2.0
#include "north/cli/text.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace amalgam::cli {
namespace {

/// Length of the valid UTF-8 sequence at the start of `text`, 0 if there is none. Overlong forms pass: they are harmless
/// here.
size_t sequence_length(std::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  size_t length = lead < 0x80 ? 1 : (lead >> 5) == 0x6 ? 2 : (lead >> 4) == 0xe ? 3 : (lead >> 3) == 0x1e ? 4 : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  return length;
}

/// C0, DEL and the C1 range, which some terminals obey as well.
bool is_control(std::string_view sequence) {
  auto first = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7f;
  return sequence.size() == 2 && first == 0xc2 && static_cast<unsigned char>(sequence[1]) < 0xa0;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t length = sequence_length(text);
    if (length == 0 || is_control(text.substr(0, length))) {
      out += '?';
      length = std::max<size_t>(length, 1);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

size_t display_width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; }));
}

std::string clip(std::string_view text, size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  size_t columns = 0, at = 0;
  for (; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) continue;
    if (++columns == width) break;
  }
  return std::string(text.substr(0, at)) + "…";
}

std::string bar(double fraction, size_t width, bool utf8) {
  static constexpr std::array kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  fraction = std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0.0;
  auto eighths = static_cast<size_t>(std::lround(fraction * static_cast<double>(width) * 8));
  std::string out;
  size_t full = utf8 ? eighths / 8 : (eighths + 4) / 8;
  for (size_t i = 0; i < full; ++i) out += utf8 ? "█" : "#";
  size_t used = full;
  if (utf8 && eighths % 8 != 0) {
    out += kEighths[eighths % 8];
    ++used;
  }
  for (; used < width; ++used) out += utf8 ? "·" : ".";
  return out;
}

}  // namespace amalgam::cli
