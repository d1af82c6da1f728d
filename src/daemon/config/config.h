// SPDX-License-Identifier: Apache-2.0
// Config: what amalgamd.toml says. Every key has a default that depends only on `system`; docs/configuration.md lists them.
//
// A key that is not known, or has another type than it must, is an error with file, line and column: a configuration that is
// silently half obeyed is worse than none.
//
// Threads: plain values. Blocking: load_config() reads one small file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/identity.h"

namespace amalgam::daemon {

/// What workers are confined by, beside what always holds.
struct Isolation {
  // Of the ranges that systemd's documents call unused; neither people, services nor containers have these.
  uint64_t first_user_id = 1'879'048'192, user_ids = 65'536;  ///< one a tenant, where the daemon is root
  std::vector<std::string> groups = {"render", "video"};      ///< that may use devices; those that exist
  std::vector<std::string> readable, devices;                 ///< further paths
};

/// Which launches are cut into pieces.
enum class Split : uint8_t {
  kNever,
  kShared,  ///< where workers are not frozen and more than one slice could want the device
  kAlways,  ///< wherever it is possible
};

/// Which devices the daemon takes out of use by itself.
enum class Cordon : uint8_t {
  kNever,
  kAccelerators,  ///< on the processors a crash of a kernel is one of its worker, and says nothing of the device
  kAll,
};

struct Config {
  bool system = false;         ///< one daemon for all users of the machine
  std::filesystem::path file;  ///< where this was read from; empty: built-in defaults
  std::filesystem::path socket, state_dir, worker;
  std::filesystem::path classes_dir;  ///< its *.toml files hold the classes of slices
  std::string log_level = "info";
  Isolation isolation;
  std::filesystem::path log_file;  ///< empty: standard error
  std::vector<std::string> backends = {"opencl"};
  model::Identity identity = model::Identity::kUnsaid;  ///< of the platforms that programs see
  uint64_t warm_workers = 1;
  uint64_t idle_exit_s = 0;  ///< 0: never
  bool keep_sessions_on_exit = false;
  uint64_t host_bytes = 0;      ///< 0: 90 % of the machine's memory
  bool shared_memory = true;    ///< false: no region is shared with its client, whatever the probe finds
  std::string policy = "fair";  ///< who runs next on a device that several slices want
  uint64_t quantum_ms = 10;
  bool freeze = true;                              ///< workers on CPU devices are stopped when it is not their turn
  uint64_t piece_us = 1000;                        ///< long launches are cut into pieces of about so long; 0: never
  Split split = Split::kShared;                    ///< where they are
  Cordon cordon = Cordon::kAccelerators;           ///< by what happens to those who use them
  std::string metrics;                             ///< "127.0.0.1:9464"; empty: off
  std::map<std::string, std::string> environment;  ///< of probes and workers
};

/// What holds without a file.
Config default_config(bool system);

/// Reads and checks a file. The message names file, line, column and key, and says what to do.
Result<Config> load_config(const std::filesystem::path& file);
/// The same for a text; `name` stands for the file in messages.
Result<Config> parse_config(std::string_view text, const std::string& name);

/// Checks "127.0.0.1:9464": an address of this machine's loopback and a port; "off" and "" are off.
Result<std::string> parse_metrics_address(std::string_view text);
/// Whether Logger knows the level.
bool is_log_level(std::string_view text);

}  // namespace amalgam::daemon
