// SPDX-License-Identifier: Apache-2.0
#include "worker/confine/landlock.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace amalgam::worker {
namespace {

// The numbers of linux/landlock.h, of which Debian 12 has only the first versions.
constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;
constexpr uint32_t kVersionFlag = 1;
constexpr int kRulePathBeneath = 1;
constexpr uint64_t kExecute = 1u << 0, kWriteFile = 1u << 1, kReadFile = 1u << 2, kReadDir = 1u << 3, kMakeChar = 1u << 6,
                   kMakeBlock = 1u << 11, kRefer = 1u << 13, kTruncate = 1u << 14, kIoctlDev = 1u << 15;
constexpr uint64_t kFileRights = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDev;
constexpr uint64_t kFirstRights = (1u << 13) - 1;
constexpr uint64_t kNetBindTcp = 1u << 0, kNetConnectTcp = 1u << 1;
constexpr uint64_t kScopeAbstractSocket = 1u << 0, kScopeSignal = 1u << 1;

struct RulesetAttributes {
  uint64_t handled_access_fs = 0, handled_access_net = 0, scoped = 0;
};
struct __attribute__((packed)) PathBeneath {
  uint64_t allowed_access;
  int32_t parent_fd;
};

uint64_t rights_of(int abi) {
  uint64_t rights = kFirstRights;
  if (abi >= 2) rights |= kRefer;
  if (abi >= 3) rights |= kTruncate;
  if (abi >= 5) rights |= kIoctlDev;
  return rights;
}

}  // namespace

int Landlock::abi() {
  long version = ::syscall(kCreateRuleset, nullptr, 0, kVersionFlag);
  return version < 0 ? 0 : static_cast<int>(version);
}

Result<Landlock> Landlock::forbid_all(int abi) {
  RulesetAttributes attributes;
  attributes.handled_access_fs = rights_of(abi);
  size_t size = sizeof(uint64_t);
  if (abi >= 4) {
    attributes.handled_access_net = kNetBindTcp | kNetConnectTcp;
    size = 2 * sizeof(uint64_t);
  }
  if (abi >= 6) {
    attributes.scoped = kScopeAbstractSocket | kScopeSignal;
    size = 3 * sizeof(uint64_t);
  }
  long fd = ::syscall(kCreateRuleset, &attributes, size, 0);
  if (fd < 0) return fail(system_error("landlock rule set", errno));
  return Landlock(UniqueFd(static_cast<int>(fd)), attributes.handled_access_fs);
}

Result<void> Landlock::allow(const std::string& path, Allow what) {
  UniqueFd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!place) return {};
  struct stat status{};
  if (::fstat(place.get(), &status) != 0) return fail(system_error(path, errno));
  uint64_t rights = kExecute | kReadFile | kReadDir;
  if (what == Allow::kWrite) rights = handled_ & ~(kMakeChar | kMakeBlock | kIoctlDev);
  if (what == Allow::kDevice) rights = kReadFile | kWriteFile | kReadDir | kIoctlDev;
  if (!S_ISDIR(status.st_mode)) rights &= kFileRights;
  PathBeneath rule{rights & handled_, place.get()};
  if (::syscall(kAddRule, rules_.get(), kRulePathBeneath, &rule, 0) != 0)
    return fail(system_error("landlock " + path, errno));
  return {};
}

Result<void> Landlock::enforce() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(system_error("no_new_privs", errno));
  if (::syscall(kRestrictSelf, rules_.get(), 0) != 0) return fail(system_error("landlock", errno));
  return {};
}

}  // namespace amalgam::worker
