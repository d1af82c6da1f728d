// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/include.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/limits.h"
#include "base/unique_fd.h"
#include "north/opencl/macros.h"

namespace amalgam::opencl {
namespace {

constexpr size_t kMaxResult = kMaxModuleBytes / 8;
constexpr size_t kMaxNesting = 64;

/// The line's code, without comments; `in_comment` is carried from line to line.
std::string code_of(std::string_view line, bool& in_comment) {
  std::string code;
  for (size_t i = 0; i < line.size(); ++i) {
    const bool pair = i + 1 < line.size();
    if (in_comment) {
      if (pair && line[i] == '*' && line[i + 1] == '/') {
        in_comment = false;
        code += ' ';
        ++i;
      }
    } else if (pair && line[i] == '/' && line[i + 1] == '*') {
      in_comment = true;
      ++i;
    } else if (pair && line[i] == '/' && line[i + 1] == '/') {
      break;
    } else if (line[i] == '"' || line[i] == '\'') {
      const char quote = line[i];
      code += line[i];
      while (++i < line.size()) {
        code += line[i];
        if (line[i] == '\\' && i + 1 < line.size())
          code += line[++i];
        else if (line[i] == quote)
          break;
      }
    } else {
      code += line[i];
    }
  }
  return code;
}

/// "#  include <x>" → name "include", rest "<x>". False if the code is no directive.
bool read_directive(std::string_view code, std::string_view& name, std::string_view& rest) {
  code = trim(code);
  if (code.empty() || code[0] != '#') return false;
  code = trim(code.substr(1));
  size_t n = 0;
  while (n < code.size() && std::isalpha(static_cast<unsigned char>(code[n])) != 0) ++n;
  name = code.substr(0, n);
  rest = trim(code.substr(n));
  return true;
}

class Resolver {
 public:
  Resolver(const std::vector<std::string>& given, const ReadFile& read) : given_(given), read_(read) {}

  void take_options(std::string_view options) {
    const std::vector<std::string> words = split_options(options);
    for (size_t i = 0; i < words.size(); ++i) {
      std::string_view word = words[i];
      if (!word.starts_with("-I") && !word.starts_with("-D") && !word.starts_with("-U")) continue;
      const char what = word[1];
      std::string_view value = word.substr(2);
      if (value.empty() && i + 1 < words.size()) value = words[++i];
      if (what == 'I') folders_.emplace_back(value);
      if (what == 'D') macros_.define_option(value);
      if (what == 'U') macros_.undefine(value);
    }
  }

  /// Appends the text of `file` (empty: the program's own source) with its includes put in.
  void put(std::string_view text, const std::string& file) {
    bool in_comment = false;
    size_t line = 1;
    while (!text.empty()) {
      std::string joined;
      size_t lines = 0, taken = 0;
      take_line(text, joined, taken, lines);
      const bool began_in_comment = in_comment;
      const std::string code = code_of(joined, in_comment);
      std::string_view name, rest;
      bool replaced = false;
      if (!began_in_comment && !in_comment && read_directive(code, name, rest)) {
        if (name == "define") macros_.define(rest);
        if (name == "undef") macros_.undefine(rest);
        if (name == "include") replaced = put_include(rest, file, line + lines);
        if (name == "if" || name == "elif") replaced = put_condition(name, rest, file, lines);
        if (name == "pragma" && rest == "once" && !file.empty()) {
          out_ += '\n';
          replaced = true;
        }
      }
      if (!replaced) out_ += text.substr(0, taken);
      text.remove_prefix(taken);
      line += lines;
    }
  }

  bool changed() const { return changed_; }
  std::string take() { return std::move(out_); }

 private:
  /// The next line with its continuations joined.
  static void take_line(std::string_view text, std::string& joined, size_t& taken, size_t& lines) {
    for (;;) {
      size_t end = text.find('\n', taken);
      std::string_view part = text.substr(taken, end == std::string_view::npos ? end : end - taken);
      taken = end == std::string_view::npos ? text.size() : end + 1;
      ++lines;
      if (!part.empty() && part.back() == '\r') part.remove_suffix(1);
      const bool goes_on = !part.empty() && part.back() == '\\' && taken < text.size();
      if (goes_on) part.remove_suffix(1);
      joined += part;
      if (!goes_on) return;
    }
  }

  /// What an include, or a question for one, names.
  struct Named {
    std::string name;
    bool quotes = false;
    bool next = false;  ///< behind the folder that the asking file lies in
  };
  std::optional<Named> read_name(std::string_view spelled) {
    Named named;
    named.next = spelled.starts_with("_next");
    if (named.next) spelled = trim(spelled.substr(5));
    std::string expanded(spelled);
    if (!spelled.empty() && spelled[0] != '"' && spelled[0] != '<') expanded = trim(macros_.expand(spelled));
    if (expanded.size() < 3) return {};
    named.quotes = expanded[0] == '"';
    const size_t end = expanded.find(named.quotes ? '"' : '>', 1);
    if ((!named.quotes && expanded[0] != '<') || end == std::string::npos) return {};
    named.name = expanded.substr(1, end - 1);
    return named;
  }

  /// Answers the questions for headers that an #if asks, where there is one: the driver does not see the program's folders.
  /// False if the line must stay.
  bool put_condition(std::string_view name, std::string_view rest, const std::string& from, size_t lines) {
    constexpr std::string_view kAsks = "__has_include";
    std::string answered;
    bool any = false;
    for (size_t at = 0; at < rest.size();) {
      const size_t found = rest.find(kAsks, at),
                   open = found == rest.npos ? found : rest.find_first_not_of("_next \t", found + kAsks.size());
      const size_t close = open == rest.npos || rest[open] != '(' ? rest.npos : rest.find(')', open);
      if (close == rest.npos) {
        answered += rest.substr(at);
        break;
      }
      std::string asked(rest.substr(found + kAsks.size(), open - found - kAsks.size()));
      asked += trim(rest.substr(open + 1, close - open - 1));
      const auto named = read_name(trim(asked));
      std::string path, text;
      const bool there = named && find(*named, from, path, text);
      answered += rest.substr(at, found - at);
      answered += there ? "1" : rest.substr(found, close + 1 - found);
      any |= there;
      at = close + 1;
    }
    if (!any) return false;
    changed_ = true;
    out_ += "#" + std::string(name) + " " + answered + std::string(lines, '\n');
    return true;
  }

  /// Finds the file that an include names and puts it in. False if the line must stay.
  bool put_include(std::string_view spelled, const std::string& from, size_t next_line) {
    const auto named = read_name(spelled);
    if (!named || std::find(given_.begin(), given_.end(), named->name) != given_.end()) return false;
    std::string path, text;
    if (!find(*named, from, path, text)) return false;
    if (std::find(stack_.begin(), stack_.end(), path) != stack_.end()) {
      out_ += '\n';
      return true;
    }
    if (++inlined_ > kMaxInlined || stack_.size() >= kMaxNesting || out_.size() + text.size() > kMaxResult) return false;
    put_file(path, text, from, next_line);
    return true;
  }

  void put_file(const std::string& path, const std::string& text, const std::string& from, size_t next_line) {
    changed_ = true;
    const bool once = text.find("#pragma once") != std::string::npos;
    if (once) {
      size_t number = static_cast<size_t>(std::find(once_.begin(), once_.end(), path) - once_.begin());
      if (number == once_.size()) once_.push_back(path);
      const std::string guard = "AMALGAM_ONCE_" + std::to_string(number);
      out_ += "#ifndef " + guard + "\n#define " + guard + "\n";
    }
    mark(1, path);
    stack_.push_back(path);
    put(text, path);
    stack_.pop_back();
    if (!out_.empty() && out_.back() != '\n') out_ += '\n';
    if (once) out_ += "#endif\n";
    mark(next_line, from.empty() ? "program.cl" : from);
  }

  void mark(size_t line, const std::string& file) {
    out_ += "#line " + std::to_string(line) + " \"";
    for (char c : file) {
      if (c == '"' || c == '\\') out_ += '\\';
      out_ += c;
    }
    out_ += "\"\n";
  }

  bool find(const Named& named, const std::string& from, std::string& path, std::string& text) {
    const std::string& name = named.name;
    auto there = [&](std::string candidate) {
      path = std::move(candidate);
      return read_(path, text);
    };
    if (name[0] == '/') return there(name);
    if (named.next) {
      const std::string folder = from.substr(0, std::min(from.rfind('/'), from.size()));
      const auto own = std::find(folders_.begin(), folders_.end(), folder);
      return std::any_of(own == folders_.end() ? folders_.begin() : std::next(own), folders_.end(),
                         [&](const std::string& one) { return there(one + "/" + name); });
    }
    if (named.quotes && !from.empty()) {
      const size_t slash = from.rfind('/');
      if (there(slash == std::string::npos ? name : from.substr(0, slash + 1) + name)) return true;
    }
    if (std::any_of(folders_.begin(), folders_.end(), [&](const std::string& folder) { return there(folder + "/" + name); }))
      return true;
    return there(name);  // the common drivers look into the program's working folder last
  }

  const std::vector<std::string>& given_;
  const ReadFile& read_;
  std::vector<std::string> folders_;
  Macros macros_;
  std::vector<std::string> stack_;  ///< files being put in
  std::vector<std::string> once_;   ///< files with #pragma once, by the number of their guard
  size_t inlined_ = 0;
  bool changed_ = false;
  std::string out_;
};

}  // namespace

bool read_text_file(const std::string& path, std::string& text) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info;
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  if (info.st_size < 0 || static_cast<uint64_t>(info.st_size) > kMaxResult) return false;
  text.resize(static_cast<size_t>(info.st_size));
  size_t have = 0;
  while (have < text.size()) {
    ssize_t n = ::read(file.get(), text.data() + have, text.size() - have);
    if (n <= 0) break;
    have += static_cast<size_t>(n);
  }
  text.resize(have);
  return true;
}

std::vector<std::string> split_options(std::string_view options) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < options.size(); ++i) {
    const char c = options[i];
    if (quote == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
      continue;
    }
    in_word = true;
    if (c == '\\' && quote != '\'' && i + 1 < options.size())
      word += options[++i];
    else if (quote == 0 && (c == '"' || c == '\''))
      quote = c;
    else if (c == quote)
      quote = 0;
    else
      word += c;
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

std::string resolve_includes(const std::string& source, std::string_view options, const std::vector<std::string>& given,
                             const ReadFile& read) {
  if (source.find("include") == std::string::npos) return source;
  Resolver resolver(given, read);
  resolver.take_options(options);
  resolver.put(source, "");
  return resolver.changed() ? resolver.take() : source;
}

}  // namespace amalgam::opencl
