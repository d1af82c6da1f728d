// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace amalgam {
namespace {

constexpr double kPpmPerPercent = 10'000;
constexpr double kYearNs = 366.0 * 86'400 * 1e9;

struct TimeUnit {
  std::string_view name;
  uint64_t ns;
};
constexpr TimeUnit kTimeUnits[] = {{"s", 1'000'000'000}, {"ms", 1'000'000}, {"us", 1'000}, {"ns", 1}};

/// A plain decimal number at the start of `text`, which then begins after it. Signs and exponents are not numbers here.
bool take_number(std::string_view& text, double& number) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

std::string fixed(double number, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, number);
  return text;
}

/// "5", "12.5": as many decimals as say something, at most `decimals`.
std::string plain(double number, int decimals) {
  std::string out = fixed(number, decimals);
  if (out.find('.') == std::string::npos) return out;
  out.erase(out.find_last_not_of('0') + 1);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

/// Three digits, and no decimals that say nothing.
std::string three_digits(double value) {
  std::string digits = fixed(value, value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
  if (digits.ends_with(".00")) digits.resize(digits.size() - 3);
  if (digits.ends_with(".0")) digits.resize(digits.size() - 2);
  return digits;
}

std::string two_parts(uint64_t large, const char* large_unit, uint64_t small, const char* small_unit) {
  char text[64];
  std::snprintf(text, sizeof text, "%llu%s%02llu%s", static_cast<unsigned long long>(large), large_unit,
                static_cast<unsigned long long>(small), small_unit);
  return text;
}

/// "k", "KiB" … are powers of 1024, "kB" … of 1000; empty and "b" are 1. 0: no unit.
double factor_of(std::string_view unit) {
  std::string name;
  for (char c : unit)
    if (c != ' ') name += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (name.empty() || name == "b") return 1;
  size_t letter = std::string_view("kmgt").find(name[0]);
  std::string_view rest = std::string_view(name).substr(1);
  if (letter == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "ib")) return 0;
  return std::pow(rest == "b" ? 1000.0 : 1024.0, static_cast<double>(letter + 1));
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
  return three_digits(value) + kUnits[unit];
}

Result<uint64_t> parse_bytes(std::string_view text) {
  auto wrong = [] { return fail(Code::kInvalidArgument, "a size, such as 512MiB, 2GiB, 5GB (5*10^9) or 1048576"); };
  double value = 0;
  std::string_view unit = text;
  if (!take_number(unit, value)) return wrong();
  std::string_view digits = text.substr(0, text.size() - unit.size());
  double factor = factor_of(unit);
  if (factor == 0) return wrong();
  double bytes = value * factor;
  if (!(bytes >= 1) || bytes >= 0x1p63) return wrong();
  if (factor != 1) return static_cast<uint64_t>(bytes);
  // Plain bytes are read as an integer, since a double holds only 53 bits of them.
  uint64_t exact = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exact);
  if (error != std::errc{} || end != digits.data() + digits.size()) return wrong();
  return exact;
}

std::string format_percent(uint32_t ppm) { return plain(ppm / kPpmPerPercent, 4) + "%"; }

Result<uint32_t> parse_percent(std::string_view text, uint32_t least_ppm) {
  double percent = 0;
  if (!take_number(text, percent)) return fail(Code::kInvalidArgument, "per cent, such as 30% or 12.5%");
  if (text != "%") return fail(Code::kInvalidArgument, "per cent, with its sign, such as 30% or 12.5%");
  double ppm = std::round(percent * kPpmPerPercent);
  if (!(ppm >= least_ppm) || ppm > kWholePpm)
    return fail(Code::kInvalidArgument, "between " + format_percent(least_ppm) + " and 100%");
  return static_cast<uint32_t>(ppm);
}

std::string format_time(uint64_t ns) {
  for (const TimeUnit& unit : kTimeUnits)
    if (ns >= unit.ns) return plain(static_cast<double>(ns) / static_cast<double>(unit.ns), 6) + std::string(unit.name);
  return "0";
}

Result<uint64_t> parse_time(std::string_view text) {
  double number = 0;
  if (take_number(text, number))
    for (const TimeUnit& unit : kTimeUnits) {
      if (text != unit.name) continue;
      double ns = std::round(number * static_cast<double>(unit.ns));
      if (!(ns >= 0) || ns > kYearNs) break;
      return static_cast<uint64_t>(ns);
    }
  return fail(Code::kInvalidArgument, "a time, such as 5ms, 800us or 1.5s");
}

std::string format_duration(uint64_t nanoseconds) {
  auto ns = static_cast<double>(nanoseconds);
  if (nanoseconds == 0) return "0";
  if (ns < 999.5e3) return three_digits(ns / 1e3) + " µs";
  if (ns < 999.5e6) return three_digits(ns / 1e6) + " ms";
  if (ns < 59.95e9) return three_digits(ns / 1e9) + " s";
  uint64_t seconds = (nanoseconds + 500'000'000) / 1'000'000'000;
  if (seconds < 3600) return two_parts(seconds / 60, "m", seconds % 60, "s");
  if (seconds < 86400) return two_parts(seconds / 3600, "h", seconds % 3600 / 60, "m");
  return two_parts(seconds / 86400, "d", seconds % 86400 / 3600, "h");
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
  return three_digits(value) + kUnits[unit];
}

}  // namespace amalgam
