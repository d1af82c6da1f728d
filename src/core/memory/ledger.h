// SPDX-License-Identifier: Apache-2.0
// Ledger: who holds how many bytes where. The one place that says yes or no to memory; pure arithmetic, no I/O.
//
//   pool (capacity) ◀── quota, reserved when the slice is made ── slice with a quota ◀── grants ── its sessions
//        ◀─────────────── grants, one by one ─────────────────── slice without one ◀── grants ── its sessions
//
// A pool is a set of bytes that exists once ("host", or one card's memory). A slice with a quota takes all of it out of the
// pool at once, so that what it was promised is there; a slice without one lives from the pool's unreserved rest.
//
// A slice whose devices lie in several pools has its quota in *each* of them, and each of its sessions' grants counts in
// each: the programming interfaces let a driver put an object into the memory of every device of its context, so this is the
// only count that can never pass what exists. A program that should not pay for a pool takes a slice without that device.
//
// A slice may be on an *account*; then what it takes out of a pool, as a quota or grant by grant, also counts there.
// Ceilings bound what one account may hold of a pool, and what all accounts may together, so that some of it is left for
// slices that are on none. They refuse new bytes and take nothing back: whoever is asked to may pass them (the quotas here;
// what an earlier daemon granted).
//
// What a session holds without having asked (the kernel counted it) is one more grant, which its worker cannot give back.
//
// Invariants, after every call: Σ quotas + Σ grants without quota ≤ capacity for each pool; Σ grants ≤ quota for each slice.
// The one exception says so itself: set_pool() may find that a pool has shrunk below what is held.
//
// Threads: none of its own, not thread-safe. Nothing blocks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "base/units.h"

namespace amalgam::core {

class Ledger {
 public:
  enum class Verdict : uint8_t { kGranted, kReclaim, kRefused };
  struct Answer {
    Verdict verdict = Verdict::kRefused;
    uint64_t granted = 0;            ///< kGranted: bytes … bytes + slack
    std::vector<uint64_t> sessions;  ///< kReclaim: who may hold bytes that it does not use, the largest holder first
    std::string reason;              ///< kRefused: a sentence
  };
  struct PoolState {
    uint64_t capacity = 0;
    uint64_t held = 0;  ///< quotas, and grants of sessions without one
  };
  /// Parts of each pool.
  struct Ceilings {
    uint32_t account_ppm = kWholePpm;   ///< user-memory-ppm
    uint32_t accounts_ppm = kWholePpm;  ///< users-memory-ppm
  };
  using Account = std::optional<uint64_t>;
  /// The most that a worker keeps without using it (its budget returns what is over).
  static constexpr uint64_t kMostUnused = 2 * kGrantSlackBytes;

  /// Makes a pool or changes its capacity. A pool that shrinks below what is held stays over until bytes come back.
  void set_pool(const std::string& pool, uint64_t capacity);
  void set_ceilings(const Ceilings& ceilings) { ceilings_ = ceilings; }
  /// Whether an account may hold so many bytes more in each of the pools. kLimit: says which ceiling it is, what the account
  /// holds, and what to do.
  Result<void> check_ceilings(uint64_t account, const std::vector<std::string>& pools, uint64_t more) const;
  /// Reserves the quota in every pool. kOutOfMemory: says what is free and who holds the rest; kNotFound: no such pool.
  Result<void> create_slice(uint64_t slice, const std::string& name, std::vector<std::string> pools, uint64_t quota,
                            Account account = std::nullopt);
  /// Changes a quota; 0: none. Whatever more it takes is reserved now. kOutOfMemory, with nothing changed: a pool has not
  /// that much free, or the slice's sessions hold more than the new quota (what their workers keep unused counts).
  Result<void> set_quota(uint64_t slice, uint64_t quota);
  /// Gives the quota back. The slice must have no sessions.
  void remove_slice(uint64_t slice);
  /// `label` is what refusals call it, e.g. "hashcat, pid 312".
  void open_session(uint64_t session, uint64_t slice, std::string label);
  /// Bytes that the session held.
  uint64_t end_session(uint64_t session);

  /// Asks for `bytes`, gladly up to `slack` more, which is only given where plenty is free. `last`: sessions have been asked
  /// for what they do not use, so the answer is yes or no.
  Answer reserve(uint64_t session, uint64_t bytes, uint64_t slack, bool last);
  /// kProtocol if the session holds less.
  Result<void> give_back(uint64_t session, uint64_t bytes);
  /// Sets what a session holds besides, as the kernel counted and nobody was asked for (daemon/sessions/memory_audit.h). It
  /// counts as what was granted does, but give_back() cannot return it. kOutOfMemory, with nothing changed: its quota, a
  /// pool or a ceiling has no room for it.
  Result<void> set_unasked(uint64_t session, uint64_t bytes);
  /// Sets what a session holds, as its worker says after the daemon was gone. kOutOfMemory if that cannot be true.
  Result<void> restore(uint64_t session, uint64_t granted);

  uint64_t granted(uint64_t session) const;
  uint64_t unasked(uint64_t session) const;
  uint64_t slice_granted(uint64_t slice) const;
  PoolState pool(const std::string& name) const;
  std::vector<std::string> pools() const;
  /// True if every invariant holds; for tests and assertions. Slow.
  bool consistent() const;

 private:
  struct Slice {
    std::string name;
    std::vector<std::string> pools;
    uint64_t quota = 0, granted = 0;
    uint32_t sessions = 0;
    Account account;
  };
  struct Session {
    uint64_t slice = 0, granted = 0, unasked = 0;
    std::string label;
    uint64_t held() const { return granted + unasked; }
  };
  struct Pool : PoolState {
    uint64_t held_by_accounts = 0;
    std::map<uint64_t, uint64_t> held_by;  ///< account by account
  };
  enum class BoundKind : uint8_t { kQuota, kPool, kAccount, kAccounts };
  /// The tightest of a slice's bounds: its quota, or the fullest of its pools, or a ceiling there.
  struct Bound {
    BoundKind kind = BoundKind::kQuota;
    uint64_t limit = 0, free = 0;
    std::string pool;
  };
  enum class With : uint8_t { kCeilings, kPoolsAlone };
  Bound bound_of(const Slice& slice, With with) const;
  Bound tightest(const std::vector<std::string>& pools, const Account& account) const;
  std::string ceiling_text(const Bound& bound) const;
  void take(const Slice& slice, uint64_t bytes);
  void put_back(const Slice& slice, uint64_t bytes);
  void add(Session& session, uint64_t& part, uint64_t bytes);
  void subtract(Session& session, uint64_t& part, uint64_t bytes);
  bool shares_bound(const Slice& slice, const Bound& bound, const Session& other) const;
  std::string refusal(const Slice& slice, const Bound& bound, uint64_t bytes) const;
  std::string lack(const std::string& pool, uint64_t quota) const;
  std::string pool_holders(const std::string& pool) const;
  std::string slice_holders(const Slice& slice) const;

  Ceilings ceilings_;
  std::map<std::string, Pool> pools_;
  std::map<uint64_t, Slice> slices_;
  std::map<uint64_t, Session> sessions_;
};

}  // namespace amalgam::core
