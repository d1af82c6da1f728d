// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/launcher.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/limits.h"

extern char** environ;

namespace amalgam::daemon {
namespace {

// Whose values loaders, drivers, their compilers and sanitizers read, by their names or the names' beginnings ("X_").
constexpr std::string_view kPassedOn[] = {"PATH",
                                          "HOME",
                                          "LANG",
                                          "LC_",
                                          "TZ",
                                          "LD_LIBRARY_PATH",
                                          "XDG_CACHE_HOME",
                                          "AMALGAM_DRIVER_CACHE",
                                          "OCL_",
                                          "OPENCL_",
                                          "POCL_",
                                          "CL_",
                                          "RUSTICL_",
                                          "MESA_",
                                          "GALLIUM_",
                                          "LP_",
                                          "LIBGL_",
                                          "DRI_",
                                          "VK_",
                                          "CUDA_",
                                          "NVIDIA_",
                                          "ROCR_",
                                          "HSA_",
                                          "HIP_",
                                          "AMD_",
                                          "GPU_",
                                          "INTEL_",
                                          "NEO_",
                                          "IGC_",
                                          "ZE_",
                                          "SYCL_",
                                          "OMP_",
                                          "TBB_",
                                          "ASAN_",
                                          "LSAN_",
                                          "TSAN_",
                                          "UBSAN_",
                                          "OCLGRIND_",
                                          "AMALGAM_OPENCL_VENDORS"};
// Of the whole, one set after another, until the machine gives one.
constexpr uint32_t kTries[] = {model::kWalls, model::kWalls | model::kOwnUsers, model::kWalls & ~model::kOwnProcesses,
                               (model::kWalls & ~model::kOwnProcesses) | model::kOwnUsers, 0};

bool is_passed_on(std::string_view name) {
  return std::ranges::any_of(
      kPassedOn, [&](std::string_view known) { return known.ends_with('_') ? name.starts_with(known) : name == known; });
}

std::vector<uint32_t> group_ids(const std::vector<std::string>& names) {
  std::vector<uint32_t> ids;
  for (const std::string& name : names)
    if (const group* entry = ::getgrnam(name.c_str())) ids.push_back(entry->gr_gid);
  return ids;
}

/// A pipe for what a worker writes to its standard error: neither end ever blocks.
Result<std::pair<UniqueFd, UniqueFd>> error_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail(system_error("pipe", errno));
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

void put_an_end(const Process& process) {
  signal_group(process, SIGKILL);
  signal_process(process, SIGKILL);
  siginfo_t info{};
  ::waitid(P_PIDFD, static_cast<id_t>(process.pidfd.get()), &info, WEXITED);
}

/// A reason for each wall that is not there. `spaces`: what the kernel said of name spaces.
std::string why_missing(const model::Confinement& has, const std::string& spaces, const Cgroup& cgroup) {
  std::string text;
  auto add = [&text](bool there, const std::string& why) {
    if (!there && !why.empty()) text += (text.empty() ? "" : "; ") + why;
  };
  add(has.own_user, "only a daemon that is root has user ids to give");
  add(has.no_capabilities, "workers keep capabilities, which only CAP_SETPCAP takes away");
  add(has.calls, "the kernel has no seccomp filters");
  add(has.landlock_abi > 0, "the kernel has no Landlock, or it is not in its lsm= list");
  add(has.has(model::kWalls), spaces);
  add(has.group && has.group_memory && has.group_tasks, cgroup.missing());
  return text;
}

constexpr const char* kSystemAdvice =
    "; run a system daemon as root, with CAP_SETUID, CAP_SETGID and CAP_CHOWN, or one daemon a user (system = false)";

std::string floor_advice(const model::Confinement& has) {
  std::string text =
      "a system daemon's workers must have their own user ids, no capabilities and listed system calls; here they "
      "have: " +
      has.text();
  if (!has.own_user) text += "; run it as root, with CAP_SETUID, CAP_SETGID and CAP_CHOWN";
  if (!has.no_capabilities) text += "; let it have CAP_SETPCAP, so that workers can give capabilities up";
  if (!has.calls) text += "; use a kernel with seccomp filters";
  return text + "; or run one daemon a user (system = false)";
}

}  // namespace

std::vector<std::string> folders_of(const std::string& library) {
  namespace fs = std::filesystem;
  if (!library.starts_with('/')) return {};
  std::vector<std::string> folders{fs::path(library).parent_path().string()};
  std::error_code error;
  const std::string real = fs::canonical(library, error).parent_path().string();
  if (!error && real != folders.front()) folders.push_back(real);
  return folders;
}

Result<Launcher> Launcher::create(Options options) {
  if (::access(options.program.c_str(), X_OK) != 0) return fail(system_error("worker " + options.program, errno));
  TenantIds tenants(options.state_dir / "cache", options.users, ::geteuid() == 0);
  Launcher launcher(std::move(options), std::move(tenants));
  launcher.groups_ = group_ids(launcher.options_.groups);
  if (auto found = launcher.find_walls(); !found) {
    if (launcher.options_.system) found.error().message += kSystemAdvice;
    return std::unexpected(std::move(found.error()));
  }
  if (launcher.options_.system && !launcher.confinement_.reaches_floor())
    return fail(Code::kPermissionDenied, floor_advice(launcher.confinement_));
  return launcher;
}

/// What the kernel lets us do is found out by doing it.
Result<void> Launcher::find_walls() {
  std::string first;
  for (uint32_t spaces : kTries) {
    auto has = check(spaces);
    if (!has) {
      if (first.empty()) first = has.error().message;
      if (spaces == 0) return fail(std::move(has.error()).within("workers cannot be confined"));
      continue;
    }
    confinement_ = std::move(*has);
    confinement_.missing = why_missing(confinement_, first, options_.cgroup);
    return {};
  }
  return {};
}

Result<model::Confinement> Launcher::check(uint32_t spaces) {
  confinement_.spaces = spaces;
  auto tenant = tenants_.prober();
  if (!tenant) return std::unexpected(std::move(tenant.error()));
  protocol::Confine order = order_for(*tenant);
  auto started = start({"--check"}, std::move(order));
  if (!started) return std::unexpected(std::move(started.error()));
  auto packet = started->channel.receive(static_cast<int>(kConfineTimeoutMs), protocol::Passengers::kLeave);
  put_an_end(started->process);
  (void)started->group.remove();
  if (!packet) return std::unexpected(std::move(packet.error()));
  auto hello = packet->as<protocol::WorkerHello>();
  if (!hello) return std::unexpected(std::move(hello.error()));
  hello->confinement.group = static_cast<bool>(options_.cgroup.there());
  hello->confinement.group_memory = options_.cgroup.bounds_memory();
  hello->confinement.group_tasks = options_.cgroup.bounds_tasks();
  return std::move(hello->confinement);
}

std::vector<std::string> Launcher::environment() const {
  std::map<std::string, std::string> variables{{"PATH", "/usr/local/bin:/usr/bin:/bin"}};
  for (char** at = environ; *at != nullptr; ++at) {
    const char* equals = std::strchr(*at, '=');
    if (equals == nullptr) continue;
    std::string name(*at, static_cast<size_t>(equals - *at));
    if (is_passed_on(name)) variables[std::move(name)] = equals + 1;
  }
  for (const auto& [name, value] : options_.environment) variables[name] = value;
  // Should a driver or loader inside a worker find our own front door, that one must see an empty pool.
  variables["AMALGAM_INSIDE"] = "1";
  std::vector<std::string> list;
  for (const auto& [name, value] : variables) list.push_back(name + "=" + value);
  return list;
}

protocol::Confine Launcher::order_for(const TenantIds::Tenant& tenant) const {
  protocol::Confine order;
  order.own_user = tenant.own;
  order.uid = order.gid = tenant.id;
  order.groups = groups_;
  order.cache = tenant.cache;
  return order;
}

Result<Launcher::Started> Launcher::start(std::vector<std::string> arguments, protocol::Confine order) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail(system_error("socket pair", errno));
  UniqueFd ours(ends[0]), theirs(ends[1]);
  auto errors = error_pipe();
  if (!errors) return std::unexpected(std::move(errors.error()));
  Launch launch;
  launch.program = options_.program;
  launch.arguments = std::move(arguments);
  launch.environment = environment();
  launch.channel = theirs.get();
  launch.errors = errors->second.get();
  launch.open_files = options_.open_files;
  launch.spaces = confinement_.spaces;
  auto process = spawn(launch);
  if (!process) return std::unexpected(std::move(process.error()));
  Started started{std::move(*process), protocol::Channel(std::move(ours)), {}, std::move(errors->first)};
  started.group = options_.cgroup.add(started.process.pid);
  order.spaces = confinement_.spaces;
  order.counted = confinement_.group_memory && started.group;
  order.devices = options_.devices;
  order.readable.insert(order.readable.end(), options_.readable.begin(), options_.readable.end());
  if (auto sent = started.channel.send(order, 0); !sent) {
    put_an_end(started.process);
    (void)started.group.remove();
    return std::unexpected(std::move(sent.error()));
  }
  return started;
}

Result<Launcher::Started> Launcher::start_probe(std::vector<std::string> arguments, const std::string& library) {
  auto tenant = tenants_.prober();
  if (!tenant) return std::unexpected(std::move(tenant.error()));
  protocol::Confine order = order_for(*tenant);
  order.readable = folders_of(library);
  return start(std::move(arguments), std::move(order));
}

Result<Launcher::Started> Launcher::start_worker(uid_t uid) {
  auto tenant = tenants_.tenant(uid);
  if (!tenant) return std::unexpected(std::move(tenant.error()));
  protocol::Confine order = order_for(*tenant);
  order.readable = driver_folders_;
  return start({}, std::move(order));
}

}  // namespace amalgam::daemon
