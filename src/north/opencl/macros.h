// SPDX-License-Identifier: Apache-2.0
// Macros: just enough of the preprocessor to spell the file name of an include.
//
// Object-like and function-like macros with parameters and `#`; no `##`, no variable arguments. Expansion is bounded in
// depth and size; beyond that the text stays as it is, and names no file.
//
// Threads: plain values.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace amalgam::opencl {

class Macros {
 public:
  /// What stands behind `#define`, or behind -D with its first '=' outside of parentheses made a blank.
  void define(std::string_view definition);
  /// "NAME", "NAME=value", "NAME(a)=value".
  void define_option(std::string_view option);
  void undefine(std::string_view name);
  std::string expand(std::string_view text) const { return expand(text, 0); }

 private:
  struct Macro {
    bool function = false;
    std::vector<std::string> parameters;
    std::string body;
  };
  std::string expand(std::string_view text, int depth) const;
  std::string apply(const Macro& macro, const std::vector<std::string>& arguments, int depth) const;
  std::map<std::string, Macro, std::less<>> macros_;
};

/// The text without blanks at its ends.
std::string_view trim(std::string_view text);

}  // namespace amalgam::opencl
