// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/launcher.h"

#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "daemon/host/paths.h"

extern char** environ;

namespace amalgam::daemon {
namespace {

/// What a program on a slice has in its environment must not lead a worker back to us.
constexpr const char* kNotForWorkers[] = {"AMALGAM_SLICE", "AMALGAM_WORKER_SECRET", "AMALGAM_SOCKET", "LD_PRELOAD"};

std::optional<Identity> user(const std::string& name) {
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return Identity{entry->pw_uid, entry->pw_gid};
}

}  // namespace

Result<Launcher> Launcher::create(Options options) {
  Launcher launcher;
  launcher.options_ = std::move(options);
  const Options& given = launcher.options_;
  if (given.system && ::geteuid() == 0) launcher.identity_ = user(given.worker_user);
  if (::access(given.program.c_str(), X_OK) != 0) return fail(system_error("worker " + given.program, errno));
  return launcher;
}

Result<std::string> Launcher::cache_folder(uid_t uid) const {
  std::filesystem::path all = options_.state_dir / "cache", own = all / std::to_string(uid);
  AMALGAM_TRY(make_folder(all, 0711), "cache folder");
  if (::access(own.c_str(), F_OK) != 0) {
    AMALGAM_TRY(make_folder(own, 0700), "cache folder");
    if (identity_ && ::chown(own.c_str(), identity_->uid, identity_->gid) != 0)
      return fail(system_error("give " + own.string() + " to the workers", errno));
  }
  return own.string();
}

Result<Launcher::Started> Launcher::start(std::vector<std::string> arguments,
                                          std::map<std::string, std::string> extra) const {
  std::map<std::string, std::string> variables;
  for (char** at = environ; *at != nullptr; ++at) {
    const char* equals = std::strchr(*at, '=');
    if (equals != nullptr) variables[std::string(*at, static_cast<size_t>(equals - *at))] = equals + 1;
  }
  for (const char* name : kNotForWorkers) variables.erase(name);
  for (const auto& [name, value] : options_.environment) variables[name] = value;
  // Should a driver or loader inside a worker find our own front door, that one must see an empty pool.
  variables["AMALGAM_INSIDE"] = "1";
  variables["AMALGAM_SOCKET"] = options_.socket;
  for (auto& [name, value] : extra) variables[name] = std::move(value);

  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail(system_error("socket pair", errno));
  UniqueFd ours(ends[0]), theirs(ends[1]);
  Launch launch;
  launch.program = options_.program;
  launch.arguments = std::move(arguments);
  for (const auto& [name, value] : variables) launch.environment.push_back(name + "=" + value);
  launch.channel = theirs.get();
  launch.identity = identity_;
  launch.open_files = options_.open_files;
  auto process = spawn(launch);
  if (!process) return std::unexpected(std::move(process.error()));
  return Started{std::move(*process), protocol::Channel(std::move(ours))};
}

Result<Launcher::Started> Launcher::start_probe(std::vector<std::string> arguments) const {
  std::map<std::string, std::string> extra;
  if (options_.system) {
    auto cache = cache_folder(::geteuid());
    if (!cache) return std::unexpected(std::move(cache.error()));
    extra = {{"POCL_CACHE_DIR", *cache}, {"XDG_CACHE_HOME", *cache}};
  }
  return start(std::move(arguments), std::move(extra));
}

Result<Launcher::Started> Launcher::start_worker(uid_t uid, const protocol::Token& secret) const {
  char digits[33];
  std::snprintf(digits, sizeof digits, "%016llx%016llx", static_cast<unsigned long long>(secret[0]),
                static_cast<unsigned long long>(secret[1]));
  std::map<std::string, std::string> extra{{"AMALGAM_WORKER_SECRET", digits}};
  if (options_.system) {
    auto cache = cache_folder(uid);
    if (!cache) return std::unexpected(std::move(cache.error()));
    extra["POCL_CACHE_DIR"] = *cache;
    extra["XDG_CACHE_HOME"] = *cache;
  }
  return start({}, std::move(extra));
}

}  // namespace amalgam::daemon
