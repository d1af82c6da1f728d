// SPDX-License-Identifier: Apache-2.0
// Cgroup: one group of the kernel's a worker, where there is cgroup v2 and we may make groups: then a worker ends whole, its
// time is counted whole, and, with the controllers, its memory and tasks are bounded.
//
//   our own group ── amalgam-NAME ─┬─ w-PID     cgroup.kill · cpu.stat · memory.max · pids.max
//                                  └─ w-PID …
//
// A daemon that is started by a service manager needs its group delegated; one that is not and is root makes groups where it
// is. Where neither holds, members are empty, and everything here does nothing.
//
// Threads: not thread-safe; a Member's questions may be asked from any thread. Blocking: the kernel's files only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace amalgam::daemon {

class Cgroup {
 public:
  struct Bounds {
    uint64_t memory_bytes = 0;  ///< 0: none
    uint64_t tasks = 0;
  };
  /// One worker's group. Empty: it has none. Moving it moves the duty to remove it.
  class Member {
   public:
    Member() = default;
    explicit Member(std::string folder) : folder_(std::move(folder)) {}
    Member(Member&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}
    Member& operator=(Member&& other) noexcept {
      if (this != &other) folder_ = std::exchange(other.folder_, {});
      return *this;
    }
    explicit operator bool() const { return !folder_.empty(); }
    /// Ends every process of it. False: the kernel cannot (before 5.14), or there is no group.
    bool kill() const;
    /// Processor time of all that ever were in it, in nanoseconds; as fresh as the last tick.
    std::optional<uint64_t> time_ns() const;
    /// Memory that the kernel charges it with; empty without the controller.
    std::optional<uint64_t> memory_bytes() const;
    /// Whether the kernel ended processes of it because they held memory.max.
    bool ran_out() const;
    void bound(const Bounds& bounds) const;
    /// Once nobody is in it.
    bool remove();

   private:
    std::string folder_;
  };

  /// Where groups can be made. Never an error: why not, or why they bound nothing, is what missing() says.
  static Cgroup find(const std::string& name);

  /// A group with the process in it.
  Member add(pid_t pid) const;
  /// Removes the place of all groups, if nobody is in it.
  void leave() const;
  /// The group that an earlier daemon made for it.
  Member find(pid_t pid) const;

  bool there() const { return !folder_.empty(); }
  bool bounds_memory() const { return memory_; }
  bool bounds_tasks() const { return tasks_; }
  const std::string& missing() const { return missing_; }

 private:
  std::string folder_;
  bool memory_ = false, tasks_ = false;
  std::string missing_;
};

}  // namespace amalgam::daemon
