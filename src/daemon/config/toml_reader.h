// SPDX-License-Identifier: Apache-2.0
// TomlReader: reads tables whose keys are all known; shared by the configuration and the files of classes.
//
// A key that is not known, or has another type than it must, is an error with file, line, column and what to do: a file that
// is silently half obeyed is worse than none.
//
// Threads: pure functions. Lifetime: what a Key refers to outlives it.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace amalgam::daemon {

/// Takes a value; an empty answer is success, another says what is wrong with it.
using Take = std::function<std::string(const toml::node&)>;

/// One key that a table may have: what it must be, and how it is taken.
struct Key {
  const char* name;
  const char* wants;
  Take take;
};

template <typename T>
Take into(T& target) {
  return [&target](const toml::node& node) -> std::string {
    auto value = node.value_exact<T>();
    if (!value) return "wrong type";
    target = std::move(*value);
    return {};
  };
}
/// An absolute path.
Take into_path(std::filesystem::path& target);
/// A whole number from 0 to `most`.
Take into_count(uint64_t& target, uint64_t most);
/// Bytes as a number, or a string that parse_bytes() takes.
Take into_size(uint64_t& target);
/// A table below; its error is left in `error`, which the caller looks at in the end.
Take into_table(std::vector<Key> keys, std::string prefix, const std::string& name, Error& error);

/// "amalgamd.toml:3:1".
std::string place(const std::string& name, const toml::source_region& region);
/// `name` stands for the file in messages.
Result<toml::table> parse_toml(std::string_view text, const std::string& name);
/// Takes every key of a table; the first unknown or wrong one is the error. `prefix` ("memory.") goes before its name.
Result<void> read_table(const toml::table& table, const std::string& prefix, const std::vector<Key>& keys,
                        const std::string& name);

}  // namespace amalgam::daemon
