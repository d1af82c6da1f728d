// SPDX-License-Identifier: Apache-2.0
#include "daemon/config/toml_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/nearest.h"
#include "base/units.h"

namespace amalgam::daemon {
namespace {

std::string advice(std::string_view unknown, const std::vector<Key>& keys) {
  std::vector<std::string_view> names;
  for (const Key& key : keys) names.emplace_back(key.name);
  return did_you_mean(unknown, names);
}

}  // namespace

std::string place(const std::string& name, const toml::source_region& region) {
  return fmt::format("{}:{}:{}", name, region.begin.line, region.begin.column);
}

Take into_path(std::filesystem::path& target) {
  return [&target](const toml::node& node) -> std::string {
    auto value = node.value_exact<std::string>();
    if (!value) return "wrong type";
    if (!std::filesystem::path(*value).is_absolute()) return "the path is not absolute";
    target = *value;
    return {};
  };
}

Take into_count(uint64_t& target, uint64_t most) {
  return [&target, most](const toml::node& node) -> std::string {
    auto value = node.value_exact<int64_t>();
    if (!value) return "wrong type";
    if (*value < 0 || static_cast<uint64_t>(*value) > most) return fmt::format("must be from 0 to {}", most);
    target = static_cast<uint64_t>(*value);
    return {};
  };
}

Take into_size(uint64_t& target) {
  return [&target](const toml::node& node) -> std::string {
    if (auto number = node.value_exact<int64_t>(); number && *number >= 0) {
      target = static_cast<uint64_t>(*number);
      return {};
    }
    auto text = node.value_exact<std::string>();
    if (!text) return "wrong type";
    auto bytes = parse_bytes(*text);
    if (!bytes) return "\"" + *text + "\" is not a size";
    target = *bytes;
    return {};
  };
}

Take into_table(std::vector<Key> keys, std::string prefix, const std::string& name, Error& error) {
  return [keys = std::move(keys), prefix = std::move(prefix), &name, &error](const toml::node& node) -> std::string {
    if (!node.is_table()) return "wrong type";
    auto read = read_table(*node.as_table(), prefix, keys, name);
    if (!read) error = std::move(read.error());
    return {};
  };
}

Result<toml::table> parse_toml(std::string_view text, const std::string& name) {
  try {
    return toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    return fail(Code::kInvalidArgument,
                place(name, error.source()) + ": " + std::string(error.description()) + "; mend the TOML there");
  }
}

Result<void> read_table(const toml::table& table, const std::string& prefix, const std::vector<Key>& keys,
                        const std::string& name) {
  for (const auto& [key, node] : table) {
    auto known = std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return key.str() == k.name; });
    if (known == keys.end())
      return fail(Code::kInvalidArgument, fmt::format("{}: unknown key \"{}{}\": {}", place(name, key.source()), prefix,
                                                      key.str(), advice(key.str(), keys)));
    if (std::string why = known->take(node); !why.empty())
      return fail(Code::kInvalidArgument, fmt::format("{}: \"{}{}\": {}; give {}", place(name, node.source()), prefix,
                                                      key.str(), why, known->wants));
  }
  return {};
}

}  // namespace amalgam::daemon
