// SPDX-License-Identifier: Apache-2.0
// MemoryAudit: what sessions hold as the kernel counts it, not as their workers say: a worker is its tenant.
//
//   each look      pages of the heap + private pages of the worker and its helpers, swapped ones included
//                    │  − what the ledger granted − what legal programs need besides (below)
//                    ▼
//                  the rest is charged to the slice ── there is room ─▶ it counts as held
//                    └─ its quota or its pool has none ─▶ 50 ms later counted exactly ─ still none ─▶ the session ends
//
// What is not charged. Of the heap: its staging, and what a worker keeps for reuse (heap-cache-bytes). Of private memory:
// what the worker had when its drivers were open, which is measured, and driver-bytes on top: compilers that run inside
// drivers take 130 to 275 MiB for the programs of docs/performance.md and give most of it back late or never.
//
// Cost. Of each session one clock and one fstat a look (under 1 µs each); only where the worker's processor time has moved,
// or it has helpers, a look at its pages (30 µs a process). Who looks, and when: worker_watch.h. Between two looks only
// memory.max holds a worker, where a cgroup counts memory.
//
// Memory that no process has mapped is not seen here; it is refused (worker/confine/calls.h) or, as the files of a worker's
// own /tmp, bounded by worker-scratch-bytes.
//
// Threads: the loop's. Nothing blocks but the kernel's files. Lifetime: outlives the loop's callbacks.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "daemon/sessions/session_registry.h"

namespace amalgam::daemon {

class MemoryAudit {
 public:
  MemoryAudit(Common& common, const SliceRegistry& slices, SessionRegistry& sessions);
  ~MemoryAudit();
  MemoryAudit(const MemoryAudit&) = delete;
  MemoryAudit& operator=(const MemoryAudit&) = delete;

  /// The worker has opened its drivers and its tenant has not said a word yet: what it holds now is the base line.
  void begin(const SessionRecord& session);
  /// To be called now and then (worker_watch.h). `members`: of the worker's group; null: none of them has run meanwhile.
  void look(SessionRecord& session, const std::vector<pid_t>* members);
  /// The quota of a slice has changed.
  void set_quota(const Slice& slice);
  /// Its worker has ended: perhaps it was the kernel that ended it.
  void worker_gone(SessionRecord& session) const;
  void forget(uint64_t session);

  struct Counted {
    uint64_t all = 0;      ///< pages of the heap and private ones beyond the base line
    uint64_t charged = 0;  ///< of them those that are not the driver's
  };
  /// As of the last look.
  Counted counted(uint64_t session) const;

 private:
  struct Account {
    uint64_t base = kUnknownBase;
    uint64_t shared = 0;  ///< what a quick count of `own` has twice: pages that it shares with its helpers
    uint64_t heap = 0, own = 0;
    EventLoop::TimerId timer = 0;
  };
  static constexpr uint64_t kUnknownBase = 64 * kMiB;  ///< of a session that an earlier daemon has opened
  struct Excess {
    uint64_t heap = 0, own = 0;
    uint64_t sum() const { return heap + own; }
  };
  void judge(SessionRecord& session, Account& account);
  void confirm(uint64_t id);
  void ask_for_unused(const SessionRecord& session);
  Excess excess(const SessionRecord& session, const Account& account) const;
  std::string reason(const SessionRecord& session, const Account& account, const Error& refusal) const;
  void bound(const SessionRecord& session, const Account& account) const;

  Common& common_;
  const SliceRegistry& slices_;
  SessionRegistry& sessions_;
  std::map<uint64_t, Account> accounts_;
};

}  // namespace amalgam::daemon
