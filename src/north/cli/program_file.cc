// SPDX-License-Identifier: Apache-2.0
#include "north/cli/program_file.h"

#include <elf.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>

namespace amalgam::cli {
namespace fs = std::filesystem;
namespace {

constexpr unsigned char kOwnClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
constexpr int kScripts = 4;  ///< interpreters that are scripts themselves; the kernel follows no more

std::string beginning(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(256, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

/// The path behind "#!"; empty if the file is no script.
std::string interpreter(std::string_view text) {
  if (!text.starts_with("#!")) return {};
  text = text.substr(2, text.find('\n') - 2);
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  text.remove_prefix(begin);
  return std::string(text.substr(0, text.find_first_of(" \t\r")));
}

}  // namespace

fs::path find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* variable = ::getenv("PATH");
  std::string_view folders = variable != nullptr ? variable : "/bin:/usr/bin";
  for (;;) {
    const size_t end = folders.find(':');
    const std::string_view folder = folders.substr(0, end);
    const fs::path path = fs::path(folder.empty() ? "." : folder) / name;
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0) return path;
    if (end == std::string_view::npos) return {};
    folders.remove_prefix(end + 1);
  }
}

std::string why_blind(const fs::path& program) {
  std::string text = beginning(program);
  fs::path file = program;
  for (int i = 0; i < kScripts; ++i) {
    std::string next = interpreter(text);
    if (next.empty()) break;
    file = std::move(next);
    text = beginning(file);
  }
  if (text.size() <= EI_CLASS || std::memcmp(text.data(), ELFMAG, SELFMAG) != 0) return {};
  const auto found = static_cast<unsigned char>(text[EI_CLASS]);
  if (found == kOwnClass || (found != ELFCLASS32 && found != ELFCLASS64)) return {};
  auto bits = [](unsigned char of) { return std::string(of == ELFCLASS64 ? "64" : "32") + "-bit"; };
  return file.string() + " is a " + bits(found) + " program and cannot load the pool's " + bits(kOwnClass) +
         " library: it will find no device of the pool";
}

}  // namespace amalgam::cli
