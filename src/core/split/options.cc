// SPDX-License-Identifier: Apache-2.0
#include "core/split/options.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace amalgam::split {
namespace {

/// A word as it was written, and what it means without its quotes.
struct Word {
  std::string meaning;
  std::string_view written;
};

std::vector<Word> words_of(std::string_view text) {
  std::vector<Word> words;
  for (size_t at = 0; at < text.size();) {
    if (std::isspace(static_cast<unsigned char>(text[at])) != 0) {
      ++at;
      continue;
    }
    const size_t begin = at;
    Word word;
    for (bool quoted = false; at < text.size(); ++at) {
      const char c = text[at];
      if (!quoted && std::isspace(static_cast<unsigned char>(c)) != 0) break;
      if (c == '"') {
        quoted = !quoted;
      } else if (c == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\' || text[at + 1] == ' ')) {
        word.meaning += text[++at];
      } else {
        word.meaning += c;
      }
    }
    word.written = text.substr(begin, at - begin);
    words.push_back(std::move(word));
  }
  return words;
}

/// Options that change how code is made, but neither the source nor what the macros say beyond the macro probe's sight.
bool is_harmless(std::string_view word) {
  static constexpr std::array<std::string_view, 10> kPrefixes = {"-cl-",        "-w",   "-W",        "-O",     "-g",
                                                                 "-save-temps", "-nv-", "-fno-bin-", "-fbin-", "-q"};
  return std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return word.starts_with(prefix); });
}

}  // namespace

Options read_options(std::string_view text) {
  Options options;
  const std::vector<Word> words = words_of(text);
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i].meaning;
    if (word.starts_with("-D") || word.starts_with("-U") || word.starts_with("-I")) {
      std::string value = word.substr(2);
      if (value.empty() && i + 1 < words.size()) value = words[++i].meaning;
      if (word[1] == 'I') {
        options.folders.push_back(value);
      } else {
        options.defines.push_back(word[1] + value);
      }
      continue;
    }
    if (word.starts_with("-cl-std=")) options.language = word.substr(8);
    if (word == "-cl-fast-relaxed-math") options.fast_math = true;
    if (!is_harmless(word) && options.unclear.empty()) options.unclear = word;
    if (!options.rest.empty()) options.rest += ' ';
    options.rest += words[i].written;
  }
  return options;
}

uint32_t version_of(std::string_view language) {
  if (language == "CL" || language == "CL1.0" || language == "cl") return 100;
  const bool fits = language.size() == 5 && (language.starts_with("CL") || language.starts_with("cl")) &&
                    language[3] == '.' && language[2] >= '1' && language[2] <= '3' && language[4] >= '0' &&
                    language[4] <= '9';
  return fits ? static_cast<uint32_t>(language[2] - '0') * 100 + static_cast<uint32_t>(language[4] - '0') * 10 : 0;
}

}  // namespace amalgam::split
