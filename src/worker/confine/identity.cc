// SPDX-License-Identifier: Apache-2.0
#include "worker/confine/identity.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace amalgam::worker {
namespace {

__user_cap_header_struct header() { return {_LINUX_CAPABILITY_VERSION_3, 0}; }

bool has_capabilities() {
  __user_cap_header_struct head = header();
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &head, data) != 0) return true;
  return std::any_of(std::begin(data), std::end(data),
                     [](const auto& word) { return (word.effective | word.permitted | word.inheritable) != 0; });
}

bool could_gain_capabilities() {
  for (int number = 0;; ++number) {
    int in_bounds = ::prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (in_bounds < 0) return false;
    if (in_bounds > 0) return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
  }
}

/// Without the right to, the bounds stay: no_new_privs holds them all the same.
void narrow_bounds() {
  constexpr unsigned kForGood = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  (void)::prctl(PR_SET_SECUREBITS, kForGood, 0, 0, 0);
  for (int number = 0; ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; ++number)
    (void)::prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
  (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

Result<void> become(const protocol::Confine& order) {
  std::vector<gid_t> groups(order.groups.begin(), order.groups.end());
  if (::setgroups(groups.size(), groups.data()) != 0) return fail(system_error("take groups", errno));
  if (::setresgid(order.gid, order.gid, order.gid) != 0)
    return fail(system_error("take group id " + std::to_string(order.gid), errno));
  if (::setresuid(order.uid, order.uid, order.uid) != 0)
    return fail(system_error("take user id " + std::to_string(order.uid), errno));
  return {};
}

bool is_user(uid_t uid) {
  uid_t real = 0, effective = 0, saved = 0;
  return ::getresuid(&real, &effective, &saved) == 0 && real == uid && effective == uid && saved == uid;
}

}  // namespace

Result<void> take_identity(const protocol::Confine& order, model::Confinement& report) {
  narrow_bounds();
  if (order.own_user)
    if (auto became = become(order); !became) return became;
  __user_cap_header_struct head = header();
  const __user_cap_data_struct none[2] = {};
  if (::syscall(SYS_capset, &head, none) != 0) return fail(system_error("give up capabilities", errno));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(system_error("no_new_privs", errno));
  ::prctl(PR_SET_DUMPABLE, 0);  // becoming somebody else has changed it
  report.own_user = order.own_user && is_user(order.uid);
  report.no_capabilities = !has_capabilities() && !could_gain_capabilities();
  return {};
}

}  // namespace amalgam::worker
