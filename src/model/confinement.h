// SPDX-License-Identifier: Apache-2.0
// Confinement: what stands between a worker, which is its tenant with a driver in its hands, and the rest of the machine.
//
// Threads: plain values and pure functions.
#pragma once

#include <cstdint>
#include <string>

namespace amalgam::model {

/// Name spaces of a worker's own, joined with |.
enum Space : uint32_t {
  kOwnMounts = 1,     ///< an empty root with what its driver needs
  kOwnProcesses = 2,  ///< it sees no process but its own
  kOwnIpc = 4,
  kOwnNetwork = 8,  ///< without any interface
  kOwnUsers = 16,   ///< a user name space: the way to the others without privilege
};
inline constexpr uint32_t kWalls = kOwnMounts | kOwnProcesses | kOwnIpc | kOwnNetwork;

struct Confinement {
  bool own_user = false;         ///< a user id that nothing else has, one a tenant
  bool no_capabilities = false;  ///< and none to be had
  bool calls = false;            ///< only the system calls of a list (seccomp)
  int32_t landlock_abi = 0;      ///< 0: the kernel has none
  uint32_t spaces = 0;
  bool group = false;         ///< a cgroup of its own: it ends whole, and its time is counted whole
  bool group_memory = false;  ///< which bounds its memory
  bool group_tasks = false;   ///< and how many processes and threads it has
  std::string missing;        ///< why the walls that lack are not there

  bool operator==(const Confinement&) const = default;
  bool has(uint32_t of) const { return (spaces & of) == of; }
  /// What a daemon that serves several users must have.
  bool reaches_floor() const { return own_user && no_capabilities && calls; }
  /// "own user id, no capabilities, listed system calls, landlock abi 7, own mounts, processes, ipc and network, cgroup".
  std::string text() const;
  /// The walls that are not there, in the same words; empty if all are.
  std::string lacking() const;

  template <typename A>
  void fields(A& a) {
    a(own_user, no_capabilities, calls, landlock_abi, spaces, group, group_memory, group_tasks, missing);
  }
};

}  // namespace amalgam::model
