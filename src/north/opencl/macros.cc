// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/macros.h"

#include <cctype>

namespace amalgam::opencl {
namespace {

constexpr int kMaxDepth = 16;
constexpr size_t kMaxText = 64 * 1024;

bool starts_name(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool in_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

size_t name_length(std::string_view text) {
  size_t n = 0;
  if (!text.empty() && starts_name(text[0]))
    while (n < text.size() && in_name(text[n])) ++n;
  return n;
}

/// Length of a quoted string at the start of the text; 0 if there is none.
size_t quoted_length(std::string_view text) {
  if (text.empty() || text[0] != '"') return 0;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      return i + 1;
  }
  return text.size();
}

/// The arguments in the parentheses that the text begins with, and how long all of it is; 0 if they do not close.
size_t read_arguments(std::string_view text, std::vector<std::string>& arguments) {
  int depth = 0;
  size_t begin = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    if (size_t quoted = quoted_length(text.substr(i)); quoted != 0) {
      i += quoted - 1;
      continue;
    }
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (depth == 0 || (depth == 1 && text[i] == ',')) {
      arguments.emplace_back(trim(text.substr(begin, i - begin)));
      begin = i + 1;
    }
    if (depth == 0) return i + 1;
  }
  return 0;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\f\v";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

void Macros::define(std::string_view definition) {
  definition = trim(definition);
  const size_t n = name_length(definition);
  if (n == 0) return;
  Macro macro;
  std::string_view rest = definition.substr(n);
  if (!rest.empty() && rest[0] == '(') {
    macro.function = true;
    const size_t end = read_arguments(rest, macro.parameters);
    if (end == 0) return;
    rest.remove_prefix(end);
  }
  macro.body = trim(rest);
  macros_.insert_or_assign(std::string(definition.substr(0, n)), std::move(macro));
}

void Macros::define_option(std::string_view option) {
  std::string definition(option);
  const size_t from =
      definition.find(')') == std::string::npos || definition.find('=') < definition.find('(') ? 0 : definition.find(')');
  const size_t equals = definition.find('=', from);
  if (equals != std::string::npos)
    definition[equals] = ' ';
  else
    definition += " 1";
  define(definition);
}

void Macros::undefine(std::string_view name) {
  if (auto known = macros_.find(trim(name)); known != macros_.end()) macros_.erase(known);
}

std::string Macros::apply(const Macro& macro, const std::vector<std::string>& arguments, int depth) const {
  std::string out;
  const std::string_view body = macro.body;
  auto argument = [&](std::string_view name) -> const std::string* {
    for (size_t i = 0; i < macro.parameters.size() && i < arguments.size(); ++i)
      if (macro.parameters[i] == name) return &arguments[i];
    return nullptr;
  };
  for (size_t i = 0; i < body.size();) {
    if (body[i] == '#') {
      size_t at = i + 1;
      while (at < body.size() && body[at] == ' ') ++at;
      const size_t n = name_length(body.substr(at));
      if (const std::string* value = argument(body.substr(at, n)); value != nullptr) {
        out += quoted(*value);
        i = at + n;
        continue;
      }
    }
    if (const size_t n = name_length(body.substr(i)); n != 0) {
      const std::string* value = argument(body.substr(i, n));
      out += value != nullptr ? expand(*value, depth + 1) : std::string(body.substr(i, n));
      i += n;
      continue;
    }
    out += body[i++];
  }
  return out;
}

std::string Macros::expand(std::string_view text, int depth) const {
  if (depth > kMaxDepth || text.size() > kMaxText) return std::string(text);
  std::string out;
  for (size_t i = 0; i < text.size() && out.size() <= kMaxText;) {
    size_t n = quoted_length(text.substr(i));
    if (n == 0 && in_name(text[i])) {
      n = name_length(text.substr(i));
      auto known = n == 0 ? macros_.end() : macros_.find(text.substr(i, n));
      if (known != macros_.end()) {
        const Macro& macro = known->second;
        std::vector<std::string> arguments;
        size_t used = n;
        if (macro.function) {
          const size_t open = text.find_first_not_of(" \t", i + n);
          const size_t length =
              open != std::string_view::npos && text[open] == '(' ? read_arguments(text.substr(open), arguments) : 0;
          used = length == 0 ? 0 : open - i + length;
        }
        if (used != 0) {
          out += expand(apply(macro, arguments, depth), depth + 1);
          i += used;
          continue;
        }
      }
      // Digits that begin a number take the letters that follow with them.
      while (n == 0 || (i + n < text.size() && in_name(text[i + n]))) ++n;
    }
    if (n == 0) n = 1;
    out += text.substr(i, n);
    i += n;
  }
  return out;
}

}  // namespace amalgam::opencl
