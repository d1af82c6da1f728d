// SPDX-License-Identifier: Apache-2.0
// Launcher: starts amalgam-worker, in any of its modes, with its channel on descriptor 3.
//
// A worker's environment is the daemon's own, then what the configuration adds, then what we must say. In a system daemon a
// worker runs as an unprivileged user, and keeps what its driver compiles in a folder for each user whom it serves: a cached
// binary of one user must never run for another.
//
// Threads: not thread-safe. Blocking: until the child has called exec.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/host/process.h"
#include "protocol/control/channel.h"

namespace amalgam::daemon {

class Launcher {
 public:
  struct Started {
    Process process;
    protocol::Channel channel;
  };
  struct Options {
    std::string program;                             ///< amalgam-worker
    std::string socket;                              ///< the daemon's
    std::filesystem::path state_dir;                 ///< driver caches go below it
    std::map<std::string, std::string> environment;  ///< that the configuration adds
    bool system = false;
    std::string worker_user;  ///< whom a system daemon's workers run as, if this user exists
    uint64_t open_files = 0;  ///< the soft limit that the daemon itself was started with
  };
  static Result<Launcher> create(Options options);
  void set_environment(std::map<std::string, std::string> environment) { options_.environment = std::move(environment); }

  /// `--libraries` and `--probe`.
  Result<Started> start_probe(std::vector<std::string> arguments) const;
  /// A worker that will serve `uid`.
  Result<Started> start_worker(uid_t uid, const protocol::Token& secret) const;

 private:
  Result<Started> start(std::vector<std::string> arguments, std::map<std::string, std::string> extra) const;
  Result<std::string> cache_folder(uid_t uid) const;

  Options options_;
  std::optional<Identity> identity_;
};

}  // namespace amalgam::daemon
