// SPDX-License-Identifier: Apache-2.0
#include "daemon/config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "base/limits.h"
#include "core/sched/policy.h"
#include "daemon/config/toml_reader.h"
#include "daemon/host/paths.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kMaxWarmWorkers = 16;
constexpr const char* kLogLevels[] = {"trace", "debug", "info", "warn", "error", "critical", "off"};

std::string take_names(const toml::node& node, std::vector<std::string>& names) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return "wrong type";
  names.clear();
  for (const toml::node& item : *list) {
    auto name = item.value_exact<std::string>();
    if (!name || name->empty()) return "every element must be a name";
    if (std::ranges::find(names, *name) != names.end()) return "\"" + *name + "\" is there twice";
    names.push_back(*name);
  }
  return {};
}

std::string take_backends(const toml::node& node, std::vector<std::string>& backends) {
  std::string why = take_names(node, backends);
  return why.empty() && backends.empty() ? "the list is empty" : why;
}

std::string take_paths(const toml::node& node, std::vector<std::string>& paths) {
  if (std::string why = take_names(node, paths); !why.empty()) return why;
  const bool absolute = std::ranges::all_of(paths, [](const std::string& path) { return path.starts_with('/'); });
  return absolute ? "" : "every path must be absolute";
}

std::vector<Key> isolation_keys(Isolation& isolation) {
  constexpr uint64_t kLastUserId = UINT32_MAX - 1;
  constexpr const char* kPaths = "a list of absolute paths";
  return {{"first_user_id", "a user id that nothing on the machine uses", into_count(isolation.first_user_id, kLastUserId)},
          {"user_ids", "how many user ids from there on are for workers", into_count(isolation.user_ids, kLastUserId)},
          {"groups", "a list of groups such as [\"render\"]",
           [&isolation](const toml::node& node) { return take_names(node, isolation.groups); }},
          {"readable", kPaths, [&isolation](const toml::node& node) { return take_paths(node, isolation.readable); }},
          {"devices", kPaths, [&isolation](const toml::node& node) { return take_paths(node, isolation.devices); }}};
}

std::string take_environment(const toml::node& node, std::map<std::string, std::string>& environment) {
  const toml::table* table = node.as_table();
  if (table == nullptr) return "wrong type";
  for (const auto& [key, value] : *table) {
    auto text = value.value_exact<std::string>();
    std::string variable(key.str());
    if (!text) return "the value of " + variable + " is not a string";
    if (variable.empty() || variable.find('=') != std::string::npos || variable.starts_with("AMALGAM_"))
      return variable + " cannot be set here";
    environment[variable] = *text;
  }
  return {};
}

std::string take_identity(const toml::node& node, model::Identity& identity) {
  auto text = node.value_exact<std::string>();
  if (!text) return "wrong type";
  auto known = model::parse_identity(*text);
  if (!known) return "unknown word \"" + *text + "\"";
  identity = *known;
  return {};
}

std::vector<Key> memory_keys(Config& config) {
  return {{"host_bytes", "a size such as \"48GiB\", or a number of bytes", into_size(config.host_bytes)},
          {"shared", "true or false", into(config.shared_memory)}};
}

std::string take_split(const toml::node& node, Split& split) {
  auto text = node.value_exact<std::string>();
  if (!text) return "wrong type";
  if (*text == "never")
    split = Split::kNever;
  else if (*text == "shared")
    split = Split::kShared;
  else if (*text == "always")
    split = Split::kAlways;
  else
    return "unknown word \"" + *text + "\"";
  return {};
}

std::vector<Key> scheduling_keys(Config& config) {
  auto policy = [&config](const toml::node& node) -> std::string {
    auto text = node.value_exact<std::string>();
    if (!text) return "wrong type";
    if (auto known = core::find_policy(*text); !known) return known.error().message;
    config.policy = *text;
    return {};
  };
  return {{"policy", "a policy's name as a string, e.g. \"fair\"", policy},
          {"quantum_ms", "milliseconds, 1 to 25", into_count(config.quantum_ms, kLongestQuantumMs)},
          {"freeze", "true or false", into(config.freeze)},
          {"piece_us", "microseconds as a whole number, 0 for never", into_count(config.piece_us, kLongestPieceUs)},
          {"split", "\"never\", \"shared\" or \"always\"",
           [&config](const toml::node& node) { return take_split(node, config.split); }}};
}

std::string take_cordon(const toml::node& node, Cordon& cordon) {
  auto text = node.value_exact<std::string>();
  if (!text) return "wrong type";
  if (*text == "never")
    cordon = Cordon::kNever;
  else if (*text == "accelerators")
    cordon = Cordon::kAccelerators;
  else if (*text == "all")
    cordon = Cordon::kAll;
  else
    return "unknown word \"" + *text + "\"";
  return {};
}

std::vector<Key> health_keys(Config& config) {
  return {{"cordon", "\"never\", \"accelerators\" or \"all\"",
           [&config](const toml::node& node) { return take_cordon(node, config.cordon); }}};
}

std::vector<Key> metrics_keys(Config& config) {
  return {{"address", "a loopback address and a port such as \"127.0.0.1:9464\", or \"off\"", [&](const toml::node& node) {
             auto text = node.value_exact<std::string>();
             if (!text) return std::string("wrong type");
             auto address = parse_metrics_address(*text);
             if (!address) return address.error().message;
             config.metrics = *address;
             return std::string();
           }}};
}

std::vector<Key> top_keys(Config& config, const std::string& name, Error& inner) {
  auto level = [&config](const toml::node& node) -> std::string {
    auto text = node.value_exact<std::string>();
    if (!text) return "wrong type";
    if (!is_log_level(*text)) return "unknown level \"" + *text + "\"";
    config.log_level = *text;
    return {};
  };
  return {
      {"system", "true or false", into(config.system)},
      {"socket", "an absolute path as a string", into_path(config.socket)},
      {"state_dir", "an absolute path as a string", into_path(config.state_dir)},
      {"worker", "an absolute path as a string", into_path(config.worker)},
      {"classes_dir", "an absolute path as a string", into_path(config.classes_dir)},
      {"log_level", "\"trace\", \"debug\", \"info\", \"warn\", \"error\", \"critical\" or \"off\"", level},
      {"log_file", "an absolute path as a string", into_path(config.log_file)},
      {"backends", "a list of names such as [\"opencl\"]",
       [&config](const toml::node& node) { return take_backends(node, config.backends); }},
      {"identity", "\"native\" or \"amalgam\"",
       [&config](const toml::node& node) { return take_identity(node, config.identity); }},
      {"warm_workers", "a small whole number", into_count(config.warm_workers, kMaxWarmWorkers)},
      {"idle_exit", "seconds as a whole number", into_count(config.idle_exit_s, UINT32_MAX)},
      {"keep_sessions_on_exit", "true or false", into(config.keep_sessions_on_exit)},
      {"isolation", "a table [isolation]", into_table(isolation_keys(config.isolation), "isolation.", name, inner)},
      {"memory", "a table [memory]", into_table(memory_keys(config), "memory.", name, inner)},
      {"scheduling", "a table [scheduling]", into_table(scheduling_keys(config), "scheduling.", name, inner)},
      {"health", "a table [health]", into_table(health_keys(config), "health.", name, inner)},
      {"metrics", "a table [metrics]", into_table(metrics_keys(config), "metrics.", name, inner)},
      {"environment", "a table [environment] of strings",
       [&config](const toml::node& node) { return take_environment(node, config.environment); }},
  };
}

}  // namespace

bool is_log_level(std::string_view text) { return std::ranges::find(kLogLevels, text) != std::end(kLogLevels); }

Result<std::string> parse_metrics_address(std::string_view text) {
  if (text == "off" || text.empty()) return std::string();
  size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, colon == std::string_view::npos ? 0 : colon);
  std::string_view digits = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  unsigned port = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || error != std::errc{} || end != digits.data() + digits.size() || port > 65535)
    return fail(Code::kInvalidArgument, "\"" + std::string(text) + "\" is not an address and a port");
  if (host == "localhost") host = "127.0.0.1";
  if (!host.starts_with("127."))
    return fail(
        Code::kInvalidArgument,
        "metrics are served without authentication, so only to this machine: \"" + std::string(host) +
            "\" is not a loopback address; put a proxy that authenticates in front of 127.0.0.1 to reach them from afar");
  return std::string(host) + ":" + std::string(digits);
}

Config default_config(bool system) {
  Config config;
  config.system = system;
  config.socket = default_socket(system);
  config.state_dir = default_state_dir(system);
  config.classes_dir = default_classes_dir(system);
  config.keep_sessions_on_exit = system;
  config.metrics = system ? "127.0.0.1:9464" : "";
  return config;
}

Result<Config> parse_config(std::string_view text, const std::string& name) {
  auto table = parse_toml(text, name);
  if (!table) return std::unexpected(std::move(table.error()));
  auto system = (*table)["system"].value_exact<bool>();
  Config config = default_config(system.value_or(false));
  Error inner(Code::kOk, "");
  auto read = read_table(*table, "", top_keys(config, name, inner), name);
  if (!read) return std::unexpected(std::move(read.error()));
  if (inner.code != Code::kOk) return std::unexpected(std::move(inner));
  constexpr uint64_t kLeastUserId = 65'536;
  const Isolation& isolation = config.isolation;
  if (isolation.first_user_id < kLeastUserId || isolation.user_ids < 2 ||
      isolation.first_user_id + isolation.user_ids > UINT32_MAX)
    return fail(Code::kInvalidArgument,
                name + ": isolation: " + std::to_string(isolation.user_ids) + " user ids from " +
                    std::to_string(isolation.first_user_id) + " on: the first must be " + std::to_string(kLeastUserId) +
                    " or more (lower ones are accounts'), and there must be at least 2, all below 2^32 - 1");
  return config;
}

Result<Config> load_config(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    return fail(Code::kInvalidArgument, "configuration " + file.string() + " is a folder: name the file in it");
  std::ifstream in(file);
  if (!in) return fail(system_error("read configuration " + file.string(), errno));
  std::ostringstream text;
  text << in.rdbuf();
  auto config = parse_config(std::move(text).str(), file.string());
  if (config) config->file = file;
  return config;
}

}  // namespace amalgam::daemon
