// SPDX-License-Identifier: Apache-2.0
#include "north/cli/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
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

/// Three digits, and no decimals that say nothing.
std::string scaled(double value, const char* unit) {
  std::string digits = fmt::format("{:.{}f}", value, value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
  if (digits.ends_with(".00")) digits.resize(digits.size() - 3);
  if (digits.ends_with(".0")) digits.resize(digits.size() - 2);
  return digits + unit;
}

Error bad_size(std::string_view text) {
  return {Code::kInvalidArgument,
          fmt::format("'{}' is not a size; write for example 512MiB, 2GiB, 2G or 1048576", printable(text))};
}

}  // namespace

std::string format_bytes(uint64_t bytes) {
  if (bytes == 0) return "0";
  static constexpr std::array kUnits = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1023.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return scaled(value, kUnits[unit]);
}

std::string format_duration(uint64_t nanoseconds) {
  auto ns = static_cast<double>(nanoseconds);
  if (nanoseconds == 0) return "0";
  if (ns < 999.5e3) return scaled(ns / 1e3, " µs");
  if (ns < 999.5e6) return scaled(ns / 1e6, " ms");
  if (ns < 59.95e9) return scaled(ns / 1e9, " s");
  uint64_t seconds = (nanoseconds + 500'000'000) / 1'000'000'000;
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h{:02}m", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{}d{:02}h", seconds / 86400, seconds % 86400 / 3600);
}

std::string format_count(uint64_t count) {
  if (count < 10000) return std::to_string(count);
  static constexpr std::array kUnits = {"", "k", "M", "G", "T", "P", "E"};
  auto value = static_cast<double>(count);
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return scaled(value, kUnits[unit]);
}

Result<uint64_t> parse_bytes(std::string_view text) {
  double value = 0;
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (status != std::errc() || text.empty() || (std::isdigit(static_cast<unsigned char>(text[0])) == 0))
    return fail(bad_size(text));
  std::string unit(end, text.data() + text.size());
  unit.erase(std::remove(unit.begin(), unit.end(), ' '), unit.end());
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::tolower(c); });
  static constexpr std::string_view kPrefixes = "kmgt";
  double factor = 1;
  if (!unit.empty() && unit != "b") {
    size_t power = kPrefixes.find(unit[0]);
    std::string_view rest = std::string_view(unit).substr(1);
    if (power == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "ib")) return fail(bad_size(text));
    factor = std::exp2(10.0 * static_cast<double>(power + 1));
  }
  double bytes = value * factor;
  if (!(bytes >= 1) || bytes >= 0x1p63) return fail(bad_size(text));
  if (factor == 1) {
    // Plain bytes are read as an integer, since a double holds only 53 bits of them.
    uint64_t exact = 0;
    auto [stop, result] = std::from_chars(text.data(), end, exact);
    if (result != std::errc() || stop != end) return fail(bad_size(text));
    return exact;
  }
  return static_cast<uint64_t>(bytes);
}

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
