// SPDX-License-Identifier: Apache-2.0
#include "worker/sandbox.h"

#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "worker/landlock.h"

namespace amalgam::worker {
namespace {

namespace fs = std::filesystem;

constexpr const char* kReadable[] = {"/usr", "/lib", "/lib32", "/lib64", "/bin",      "/sbin",
                                     "/etc", "/opt", "/proc",  "/sys",   "/nix/store"};
constexpr const char* kDevices[] = {
    "/dev/null", "/dev/zero",    "/dev/full",      "/dev/random",     "/dev/urandom",          "/dev/dri",
    "/dev/kfd",  "/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/accel"};

/// What no driver needs; each returns EPERM, which their code survives.
constexpr const char* kForbidden[] = {
    // other processes
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "process_mrelease",
    "kcmp",
    "pidfd_getfd",
    "pidfd_send_signal",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "tkill",
    // the file system as a whole
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "swapon",
    "swapoff",
    "quotactl",
    "quotactl_fd",
    "open_by_handle_at",
    "name_to_handle_at",
    "fanotify_init",
    // the kernel
    "bpf",
    "perf_event_open",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "add_key",
    "request_key",
    "keyctl",
    "reboot",
    "syslog",
    "acct",
    "iopl",
    "ioperm",
    "lookup_dcookie",
    "vhangup",
    // name spaces, clocks, names
    "setns",
    "unshare",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The one folder that drivers may write to: compiled kernels and what their compilers leave on the way.
Result<std::string> cache_folder() {
  std::string base = environment("AMALGAM_DRIVER_CACHE");
  if (base.empty()) {
    base = environment("XDG_CACHE_HOME");
    if (base.empty() && !environment("HOME").empty()) base = environment("HOME") + "/.cache";
    base = base.empty() ? "/tmp/amalgam-cache-" + std::to_string(::getuid()) : base + "/amalgam/drivers";
  }
  std::error_code error;
  bool made = fs::create_directories(base, error);
  if (made) fs::permissions(base, fs::perms::owner_all, error);
  struct stat status{};
  if (::stat(base.c_str(), &status) != 0) return fail(system_error("cache folder " + base, errno));
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::getuid())
    return fail(Code::kPermissionDenied, "cache folder " + base + " belongs to somebody else");
  return base;
}

/// The folder that a driver's library really lies in: it may be outside of the system's.
std::string folder_of(const std::string& library) {
  std::error_code error;
  fs::path real = fs::canonical(library, error);
  return error ? "" : real.parent_path().string();
}

}  // namespace

std::string SandboxReport::text() const {
  std::string out = seccomp ? "seccomp" : "no seccomp";
  return out + (landlock_abi > 0 ? ", landlock abi " + std::to_string(landlock_abi) : ", no landlock");
}

Result<void> fence_files(const std::vector<model::Device>& devices, const std::string& library, SandboxReport& report) {
  auto cache = cache_folder();
  if (!cache) return std::unexpected(std::move(cache.error()));
  ::setenv("XDG_CACHE_HOME", cache->c_str(), 1);
  ::setenv("TMPDIR", cache->c_str(), 1);
  if (::chdir("/") != 0) return fail(system_error("chdir /", errno));
  int abi = Landlock::abi();
  if (abi == 0) return {};
  auto rules = Landlock::forbid_all(abi);
  if (!rules) return std::unexpected(std::move(rules.error()));
  auto allow = [&](const std::string& path, Landlock::Allow what) {
    return path.empty() ? Result<void>() : rules->allow(path, what);
  };
  for (const char* path : kReadable) AMALGAM_TRY(allow(path, Landlock::Allow::kRead), "sandbox");
  for (const char* path : kDevices) AMALGAM_TRY(allow(path, Landlock::Allow::kDevice), "sandbox");
  for (const model::Device& device : devices)
    AMALGAM_TRY(allow(folder_of(device.library), Landlock::Allow::kRead), "sandbox");
  AMALGAM_TRY(allow(library, Landlock::Allow::kRead), "sandbox");
  AMALGAM_TRY(allow(environment("OCL_ICD_VENDORS"), Landlock::Allow::kRead), "sandbox");
  AMALGAM_TRY(allow(*cache, Landlock::Allow::kWrite), "sandbox");
  AMALGAM_TRY(allow(environment("POCL_CACHE_DIR"), Landlock::Allow::kWrite), "sandbox");
  if (auto enforced = rules->enforce(); !enforced) return enforced;
  report.landlock_abi = abi;
  return {};
}

Result<void> fence_calls(SandboxReport& report) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (filter == nullptr) return fail(Code::kInternal, "seccomp: no filter");
  uint32_t deny = SCMP_ACT_ERRNO(EPERM);
  int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  for (const char* name : kForbidden) {
    int number = seccomp_syscall_resolve_name(name);
    if (number != __NR_SCMP_ERROR && error == 0) error = seccomp_rule_add(filter, deny, number, 0);
  }
  auto rule = [&](uint32_t action, int number, auto... tests) {
    if (error == 0) error = seccomp_rule_add(filter, action, number, sizeof...(tests), tests...);
  };
  rule(deny, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_NE, AF_UNIX));
  // Signals only to ourselves, also where Landlock is too old to say so.
  auto self = static_cast<scmp_datum_t>(::getpid());
  rule(deny, SCMP_SYS(kill), SCMP_A0(SCMP_CMP_NE, self));
  rule(deny, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_NE, self));
  for (uint64_t space :
       {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP})
    rule(deny, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, space, space));
  // Its flags lie in memory, where a filter cannot look; the C library falls back to clone.
  rule(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
  if (error == 0) error = seccomp_load(filter);
  seccomp_release(filter);
  if (error != 0) return fail(system_error("seccomp", -error));
  report.seccomp = true;
  return {};
}

}  // namespace amalgam::worker
