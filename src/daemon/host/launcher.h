// SPDX-License-Identifier: Apache-2.0
// Launcher: starts amalgam-worker, in any of its modes, as confined as this machine lets it be.
//
//   Launcher::create: --check with all walls, with fewer, with none ─▶ what workers will have    (refused: under the floor)
//   start: spawn in name spaces and a cgroup ─▶ Confine ─▶ it confines itself ─▶ its own messages
//
// Where the daemon is root, each tenant's workers have a user id of their own (tenant_ids.h), and keep what their driver
// compiles in a folder that this user owns. Else they are the daemon's own user, in a name space of users where the kernel
// gives one.
//
// A worker's environment is a few of the daemon's variables: those that loaders, drivers and sanitizers read, by their
// names' beginnings; then what the configuration adds. Whoever started the daemon may have had secrets in his.
//
// Threads: not thread-safe. Blocking: start() until the child has called exec; create() up to some seconds.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/host/cgroup.h"
#include "daemon/host/process.h"
#include "daemon/host/tenant_ids.h"
#include "model/confinement.h"
#include "protocol/control/channel.h"

namespace amalgam::daemon {

class Launcher {
 public:
  struct Options {
    std::string program;                             ///< amalgam-worker
    std::filesystem::path state_dir;                 ///< driver caches go below it
    std::map<std::string, std::string> environment;  ///< that the configuration adds
    bool system = false;                             ///< refuses to be without the floor
    TenantIds::Range users;                          ///< of workers, if we are root
    std::vector<std::string> groups;                 ///< by name, that workers are in, if they exist
    std::vector<std::string> readable, devices;      ///< further paths that they may see
    Cgroup cgroup;                                   ///< where groups of workers can be made
    uint64_t open_files = 0;                         ///< the soft limit that the daemon itself was started with
  };
  struct Started {
    Process process;
    protocol::Channel channel;
    Cgroup::Member group;
    UniqueFd errors;  ///< what it writes to its standard error; does not block
  };
  /// kPermissionDenied: a system daemon's workers would be under the floor; says what to do.
  static Result<Launcher> create(Options options);
  void set_environment(std::map<std::string, std::string> environment) { options_.environment = std::move(environment); }
  /// Folders of the drivers that sessions may open.
  void set_driver_folders(std::vector<std::string> folders) { driver_folders_ = std::move(folders); }

  /// `--libraries` and `--probe`. `library`: the driver that is opened; empty: none.
  Result<Started> start_probe(std::vector<std::string> arguments, const std::string& library);
  /// A worker that will serve `tenant`.
  Result<Started> start_worker(uid_t tenant);
  /// At the end, when nobody is started any more.
  void leave() const { options_.cgroup.leave(); }
  /// Finds the group of a worker of an earlier daemon.
  Cgroup::Member find_group(pid_t pid) const { return options_.cgroup.find(pid); }

  /// What workers have.
  const model::Confinement& confinement() const { return confinement_; }

 private:
  Launcher(Options options, TenantIds tenants) : options_(std::move(options)), tenants_(std::move(tenants)) {}
  Result<void> find_walls();
  Result<model::Confinement> check(uint32_t spaces);
  std::vector<std::string> environment() const;
  protocol::Confine order_for(const TenantIds::Tenant& tenant) const;
  Result<Started> start(std::vector<std::string> arguments, protocol::Confine order);

  Options options_;
  TenantIds tenants_;
  std::vector<std::string> driver_folders_;
  std::vector<uint32_t> groups_;
  model::Confinement confinement_;
};

/// The folders that a driver's library is opened from: as it is named, and where it really lies.
std::vector<std::string> folders_of(const std::string& library);

}  // namespace amalgam::daemon
