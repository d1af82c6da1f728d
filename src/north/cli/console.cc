// SPDX-License-Identifier: Apache-2.0
#include "north/cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace amalgam::cli {
namespace {

constexpr size_t kMostColumns = 1000;

size_t from_environment(const char* name) {
  const char* text = ::getenv(name);
  size_t value = 0;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), value);
  return value > kMostColumns ? kMostColumns : value;
}

}  // namespace

Size console_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) return {size.ws_col, size.ws_row};
  return {from_environment("COLUMNS"), from_environment("LINES")};
}

bool console_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = ::getenv(name);
    if (value == nullptr || *value == 0) continue;
    return ::strcasestr(value, "utf-8") != nullptr || ::strcasestr(value, "utf8") != nullptr;
  }
  return false;
}

bool console_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

void write_out(std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

void write_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  write_out(text);
}

}  // namespace amalgam::cli
