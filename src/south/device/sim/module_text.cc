// SPDX-License-Identifier: Apache-2.0
#include "south/device/sim/module_text.h"

#include <algorithm>

namespace amalgam::south::sim {
namespace {

constexpr std::string_view kBinaryMagic = "amalgam-sim-binary 1\n";
constexpr int kMaxIncludeDepth = 8;

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
  size_t length = std::min(line.find_first_of(" \t\r"), line.size());
  std::string_view word = line.substr(0, length);
  line.remove_prefix(length);
  return word;
}

class Parser {
 public:
  Parser(const std::function<const std::string*(const std::string&)>& header, KernelTable& kernels)
      : header_(header), kernels_(kernels) {}

  void parse(std::string_view text, int depth) {
    for (int number = 1; !text.empty(); ++number) {
      size_t length = std::min(text.find('\n'), text.size());
      parse_line(text.substr(0, length), number, depth);
      text.remove_prefix(std::min(length + 1, text.size()));
    }
  }
  std::string take_log() { return std::move(log_); }

 private:
  void parse_line(std::string_view line, int number, int depth) {
    std::string_view word = next_word(line);
    if (word.empty() || word.starts_with("#") || word.starts_with("//")) return;
    if (word == "kernel") return parse_kernel(line, number);
    if (word == "include") return parse_include(next_word(line), number, depth);
    if (word == "error") return say(number, std::string(line.substr(std::min(line.find_first_not_of(' '), line.size()))));
    say(number, "expected 'kernel', 'include' or 'error', not '" + std::string(word) + "'");
  }

  void parse_kernel(std::string_view line, int number) {
    std::string_view name = next_word(line), equals = next_word(line), builtin = next_word(line);
    if (equals.empty())
      builtin = name;
    else if (equals != "=")
      return say(number, "expected '='");
    const Builtin* found = find_builtin(builtin);
    if (name.empty() || found == nullptr) return say(number, "no builtin '" + std::string(builtin) + "'");
    if (!kernels_.emplace(name, found).second) say(number, "kernel '" + std::string(name) + "' is defined twice");
  }

  void parse_include(std::string_view name, int number, int depth) {
    if (name.size() > 2 && name.starts_with('"') && name.ends_with('"')) name = name.substr(1, name.size() - 2);
    const std::string* text = header_ ? header_(std::string(name)) : nullptr;
    if (text == nullptr) return say(number, "no header '" + std::string(name) + "'");
    if (depth >= kMaxIncludeDepth) return say(number, "headers include each other");
    parse(*text, depth + 1);
  }

  void say(int number, const std::string& what) { log_ += "line " + std::to_string(number) + ": " + what + "\n"; }

  const std::function<const std::string*(const std::string&)>& header_;
  KernelTable& kernels_;
  std::string log_;
};

}  // namespace

std::string parse_module(std::string_view text, const std::function<const std::string*(const std::string&)>& header,
                         KernelTable& kernels) {
  Parser parser(header, kernels);
  if (is_binary(text)) text.remove_prefix(kBinaryMagic.size());
  parser.parse(text, 0);
  return parser.take_log();
}

std::string to_binary(const KernelTable& kernels) {
  std::string text(kBinaryMagic);
  for (const auto& [name, builtin] : kernels) text += "kernel " + name + " = " + std::string(builtin->name) + "\n";
  return text;
}

bool is_binary(std::string_view text) { return text.starts_with(kBinaryMagic); }

}  // namespace amalgam::south::sim
