// SPDX-License-Identifier: Apache-2.0
#include "core/memory/ledger.h"

#include <algorithm>

#include "base/assert.h"

namespace amalgam::core {
namespace {

constexpr size_t kNamedHolders = 3;     ///< holders that a refusal names; the rest is summed
constexpr uint64_t kSlackShare = 8;     ///< slack is at most this part of what stays free
constexpr uint64_t kSlackGrain = 4096;  ///< slack is handed out in whole pages

struct Holder {
  std::string text;
  uint64_t bytes = 0;
};

/// "session 7 (hashcat, pid 3) holds 1 GiB, … and 4 more hold 12 MiB"; empty if nobody holds anything.
std::string name_holders(std::vector<Holder> holders) {
  std::erase_if(holders, [](const Holder& holder) { return holder.bytes == 0; });
  std::ranges::sort(holders, std::greater{}, &Holder::bytes);
  std::string text;
  for (size_t i = 0; i < std::min(holders.size(), kNamedHolders); ++i)
    text += (i == 0 ? "" : ", ") + holders[i].text + " holds " + format_bytes(holders[i].bytes);
  if (holders.size() > kNamedHolders) {
    uint64_t rest = 0;
    for (size_t i = kNamedHolders; i < holders.size(); ++i) rest += holders[i].bytes;
    text += ", and " + std::to_string(holders.size() - kNamedHolders) + " more hold " + format_bytes(rest);
  }
  return text;
}

uint64_t rest_of(uint64_t limit, uint64_t held) { return limit > held ? limit - held : 0; }
uint64_t free_of(const Ledger::PoolState& pool) { return rest_of(pool.capacity, pool.held); }
/// Exact below 2^64 / 10^6 bytes, and never too much above.
uint64_t part_of(uint64_t capacity, uint32_t ppm) {
  return capacity / kWholePpm * ppm + capacity % kWholePpm * ppm / kWholePpm;
}

}  // namespace

void Ledger::set_pool(const std::string& pool, uint64_t capacity) { pools_[pool].capacity = capacity; }

Result<void> Ledger::create_slice(uint64_t slice, const std::string& name, std::vector<std::string> pools, uint64_t quota,
                                  Account account) {
  AMALGAM_ASSERT(!slices_.contains(slice));
  std::ranges::sort(pools);
  pools.erase(std::ranges::unique(pools).begin(), pools.end());
  for (const std::string& pool : pools) {
    auto found = pools_.find(pool);
    if (found == pools_.end()) return fail(Code::kNotFound, "there is no memory pool " + pool);
    if (quota <= free_of(found->second)) continue;
    return fail(Code::kOutOfMemory, "slice \"" + name + "\" asks for " + format_bytes(quota) + ", " + lack(pool, quota));
  }
  Slice& made = slices_.emplace(slice, Slice{name, std::move(pools), quota, 0, 0, account}).first->second;
  take(made, quota);
  return {};
}

/// What one pool cannot give, now or ever.
std::string Ledger::lack(const std::string& name, uint64_t quota) const {
  const PoolState& pool = pools_.at(name);
  if (quota > pool.capacity)
    return "more than pool " + name + " has: " + format_bytes(pool.capacity) + " in all (MEMORY of `amalgam devices`)";
  const std::string holders = pool_holders(name);
  return "but pool " + name + " has " + format_bytes(free_of(pool)) + " free of " + format_bytes(pool.capacity) +
         (holders.empty() ? "" : "; " + holders);
}

void Ledger::take(const Slice& slice, uint64_t bytes) {
  for (const std::string& name : slice.pools) {
    Pool& pool = pools_.at(name);
    pool.held += bytes;
    if (!slice.account || bytes == 0) continue;
    pool.held_by_accounts += bytes;
    pool.held_by[*slice.account] += bytes;
  }
}

void Ledger::put_back(const Slice& slice, uint64_t bytes) {
  for (const std::string& name : slice.pools) {
    Pool& pool = pools_.at(name);
    AMALGAM_ASSERT(pool.held >= bytes);
    pool.held -= bytes;
    if (!slice.account || bytes == 0) continue;
    auto own = pool.held_by.find(*slice.account);
    AMALGAM_ASSERT(own != pool.held_by.end() && own->second >= bytes && pool.held_by_accounts >= bytes);
    pool.held_by_accounts -= bytes;
    if ((own->second -= bytes) == 0) pool.held_by.erase(own);
  }
}

Result<void> Ledger::check_ceilings(uint64_t account, const std::vector<std::string>& pools, uint64_t more) const {
  const Bound bound = tightest(pools, account);
  const bool is_ceiling = bound.kind == BoundKind::kAccount || bound.kind == BoundKind::kAccounts;
  if (!is_ceiling || more <= bound.free) return {};
  auto own = pools_.at(bound.pool).held_by.find(account);
  return fail(Code::kLimit, format_bytes(more) + " more asked for, but " + ceiling_text(bound) + "; you hold " +
                                format_bytes(own == pools_.at(bound.pool).held_by.end() ? 0 : own->second) +
                                "; ask for less, or end programs (`amalgam ps`)");
}

Result<void> Ledger::set_quota(uint64_t slice, uint64_t quota) {
  auto found = slices_.find(slice);
  AMALGAM_ASSERT(found != slices_.end());
  Slice& of = found->second;
  if (quota != 0 && of.granted > quota) {
    std::string holders = slice_holders(of);
    return fail(Code::kOutOfMemory, "slice \"" + of.name + "\" holds " + format_bytes(of.granted) +
                                        ", more than a quota of " + format_bytes(quota) + (holders.empty() ? "" : "; ") +
                                        holders);
  }
  // What the slice counts for in each of its pools, before and after.
  uint64_t before = of.quota != 0 ? of.quota : of.granted, after = quota != 0 ? quota : of.granted;
  uint64_t more = after > before ? after - before : 0;
  for (const std::string& name : of.pools) {
    const PoolState& pool = pools_.at(name);
    if (more <= free_of(pool)) continue;
    return fail(Code::kOutOfMemory,
                "slice \"" + of.name + "\" asks for " + format_bytes(more) + " more, " + lack(name, after));
  }
  put_back(of, before);
  take(of, after);
  of.quota = quota;
  return {};
}

void Ledger::remove_slice(uint64_t slice) {
  auto found = slices_.find(slice);
  AMALGAM_ASSERT(found != slices_.end() && found->second.sessions == 0 && found->second.granted == 0);
  put_back(found->second, found->second.quota);
  slices_.erase(found);
}

void Ledger::open_session(uint64_t session, uint64_t slice, std::string label) {
  AMALGAM_ASSERT(slices_.contains(slice) && !sessions_.contains(session));
  ++slices_[slice].sessions;
  sessions_.emplace(session, Session{slice, 0, 0, std::move(label)});
}

uint64_t Ledger::end_session(uint64_t session) {
  auto found = sessions_.find(session);
  AMALGAM_ASSERT(found != sessions_.end());
  uint64_t bytes = found->second.held();
  subtract(found->second, found->second.granted, found->second.granted);
  subtract(found->second, found->second.unasked, found->second.unasked);
  --slices_[found->second.slice].sessions;
  sessions_.erase(found);
  return bytes;
}

Ledger::Bound Ledger::tightest(const std::vector<std::string>& pools, const Account& account) const {
  Bound found{BoundKind::kPool, UINT64_MAX, UINT64_MAX, {}};
  auto look_at = [&](BoundKind kind, const std::string& pool, uint64_t limit, uint64_t held) {
    if (rest_of(limit, held) < found.free) found = {kind, limit, rest_of(limit, held), pool};
  };
  for (const std::string& name : pools) {
    auto known = pools_.find(name);
    if (known == pools_.end()) continue;
    const Pool& pool = known->second;
    look_at(BoundKind::kPool, name, pool.capacity, pool.held);
    if (!account) continue;
    auto own = pool.held_by.find(*account);
    look_at(BoundKind::kAccount, name, part_of(pool.capacity, ceilings_.account_ppm),
            own == pool.held_by.end() ? 0 : own->second);
    look_at(BoundKind::kAccounts, name, part_of(pool.capacity, ceilings_.accounts_ppm), pool.held_by_accounts);
  }
  return found;
}

Ledger::Bound Ledger::bound_of(const Slice& slice, With with) const {
  if (slice.quota != 0) return {BoundKind::kQuota, slice.quota, slice.quota - slice.granted, {}};
  return tightest(slice.pools, with == With::kCeilings ? slice.account : std::nullopt);
}

/// "one user may hold 90% of pool host and has 12 MiB left (limit user-memory-ppm)"
std::string Ledger::ceiling_text(const Bound& bound) const {
  const bool is_one = bound.kind == BoundKind::kAccount;
  return (is_one ? "one user may hold " + format_percent(ceilings_.account_ppm)
                 : "all users together may hold " + format_percent(ceilings_.accounts_ppm)) +
         " of pool " + bound.pool + " and " + (is_one ? "has " : "have ") + format_bytes(bound.free) + " left (limit " +
         (is_one ? "user-memory-ppm)" : "users-memory-ppm)");
}

/// `part`: of the session's, granted or unasked.
void Ledger::add(Session& session, uint64_t& part, uint64_t bytes) {
  Slice& slice = slices_[session.slice];
  part += bytes;
  slice.granted += bytes;
  if (slice.quota == 0) take(slice, bytes);
}

void Ledger::subtract(Session& session, uint64_t& part, uint64_t bytes) {
  Slice& slice = slices_[session.slice];
  AMALGAM_ASSERT(part >= bytes && slice.granted >= bytes);
  part -= bytes;
  slice.granted -= bytes;
  if (slice.quota == 0) put_back(slice, bytes);
}

bool Ledger::shares_bound(const Slice& slice, const Bound& bound, const Session& other) const {
  const Slice& others = slices_.at(other.slice);
  if (bound.kind == BoundKind::kQuota) return &others == &slice;
  if (bound.kind == BoundKind::kAccount && others.account != slice.account) return false;
  if (bound.kind == BoundKind::kAccounts && !others.account) return false;
  return others.quota == 0 && std::ranges::binary_search(others.pools, bound.pool);
}

Ledger::Answer Ledger::reserve(uint64_t session, uint64_t bytes, uint64_t slack, bool last) {
  auto found = sessions_.find(session);
  AMALGAM_ASSERT(found != sessions_.end());
  const Slice& slice = slices_.at(found->second.slice);
  Bound bound = bound_of(slice, With::kCeilings);
  Answer answer;
  if (bytes <= bound.free) {
    uint64_t extra = std::min(slack, (bound.free - bytes) / kSlackShare) / kSlackGrain * kSlackGrain;
    answer.verdict = Verdict::kGranted;
    answer.granted = bytes + extra;
    add(found->second, found->second.granted, answer.granted);
    return answer;
  }
  if (!last && bytes <= bound.limit) {
    uint64_t possible = bound.free;
    for (const auto& [id, other] : sessions_) {
      if (id == session || other.granted == 0 || !shares_bound(slice, bound, other)) continue;
      answer.sessions.push_back(id);
      possible += std::min(other.granted, kMostUnused);
    }
    if (possible >= bytes && !answer.sessions.empty()) {
      std::ranges::sort(answer.sessions, std::greater{}, [&](uint64_t id) { return sessions_.at(id).granted; });
      answer.verdict = Verdict::kReclaim;
      return answer;
    }
    answer.sessions.clear();
  }
  answer.reason = refusal(slice, bound, bytes);
  return answer;
}

Result<void> Ledger::give_back(uint64_t session, uint64_t bytes) {
  auto found = sessions_.find(session);
  AMALGAM_ASSERT(found != sessions_.end());
  if (bytes > found->second.granted)
    return fail(Code::kProtocol, "session " + std::to_string(session) + " returns " + format_bytes(bytes) + " and holds " +
                                     format_bytes(found->second.granted));
  subtract(found->second, found->second.granted, bytes);
  return {};
}

Result<void> Ledger::set_unasked(uint64_t session, uint64_t bytes) {
  auto found = sessions_.find(session);
  AMALGAM_ASSERT(found != sessions_.end());
  Session& of = found->second;
  if (bytes <= of.unasked) {
    subtract(of, of.unasked, of.unasked - bytes);
    return {};
  }
  const Slice& slice = slices_.at(of.slice);
  const uint64_t more = bytes - of.unasked;
  Bound bound = bound_of(slice, With::kCeilings);
  if (more > bound.free) return fail(Code::kOutOfMemory, refusal(slice, bound, more));
  add(of, of.unasked, more);
  return {};
}

Result<void> Ledger::restore(uint64_t session, uint64_t granted) {
  auto found = sessions_.find(session);
  AMALGAM_ASSERT(found != sessions_.end());
  uint64_t before = found->second.granted;
  subtract(found->second, found->second.granted, before);
  Bound bound = bound_of(slices_.at(found->second.slice), With::kPoolsAlone);
  if (granted > bound.free) {
    add(found->second, found->second.granted, before);
    return fail(Code::kOutOfMemory, "session " + std::to_string(session) + " says that it holds " + format_bytes(granted) +
                                        ", but only " + format_bytes(bound.free) + " can be its own");
  }
  add(found->second, found->second.granted, granted);
  return {};
}

std::string Ledger::pool_holders(const std::string& pool) const {
  std::vector<Holder> holders;
  for (const auto& [id, slice] : slices_)
    if (slice.quota != 0 && std::ranges::binary_search(slice.pools, pool))
      holders.push_back({"slice \"" + slice.name + "\"", slice.quota});
  for (const auto& [id, session] : sessions_) {
    const Slice& slice = slices_.at(session.slice);
    if (slice.quota == 0 && std::ranges::binary_search(slice.pools, pool))
      holders.push_back({"session " + std::to_string(id) + " (" + session.label + ")", session.held()});
  }
  return name_holders(std::move(holders));
}

std::string Ledger::slice_holders(const Slice& slice) const {
  std::vector<Holder> holders;
  for (const auto& [id, session] : sessions_)
    if (&slices_.at(session.slice) == &slice)
      holders.push_back({"session " + std::to_string(id) + " (" + session.label + ")", session.held()});
  return name_holders(std::move(holders));
}

std::string Ledger::refusal(const Slice& slice, const Bound& bound, uint64_t bytes) const {
  std::string text = format_bytes(bytes) + " asked for, but ";
  std::string holders;
  if (bound.kind == BoundKind::kQuota) {
    text +=
        "slice \"" + slice.name + "\" has " + format_bytes(bound.free) + " free of its quota " + format_bytes(slice.quota);
    holders = slice_holders(slice);
  } else if (bound.kind != BoundKind::kPool) {
    text += ceiling_text(bound);
  } else {
    text += "pool " + bound.pool + " has " + format_bytes(bound.free) + " free of " + format_bytes(bound.limit);
    holders = pool_holders(bound.pool);
  }
  return text + (holders.empty() ? "" : "; " + holders);
}

uint64_t Ledger::granted(uint64_t session) const {
  auto found = sessions_.find(session);
  return found == sessions_.end() ? 0 : found->second.granted;
}

uint64_t Ledger::unasked(uint64_t session) const {
  auto found = sessions_.find(session);
  return found == sessions_.end() ? 0 : found->second.unasked;
}

uint64_t Ledger::slice_granted(uint64_t slice) const {
  auto found = slices_.find(slice);
  return found == slices_.end() ? 0 : found->second.granted;
}

Ledger::PoolState Ledger::pool(const std::string& name) const {
  auto found = pools_.find(name);
  return found == pools_.end() ? PoolState{} : static_cast<PoolState>(found->second);
}

std::vector<std::string> Ledger::pools() const {
  std::vector<std::string> names;
  for (const auto& [name, pool] : pools_) names.push_back(name);
  return names;
}

bool Ledger::consistent() const {
  std::map<std::string, uint64_t> held;
  std::map<std::string, std::map<uint64_t, uint64_t>> held_by;
  std::map<uint64_t, uint64_t> granted;
  for (const auto& [id, session] : sessions_) granted[session.slice] += session.held();
  for (const auto& [id, slice] : slices_) {
    if (granted[id] != slice.granted || (slice.quota != 0 && slice.granted > slice.quota)) return false;
    const uint64_t bytes = slice.quota != 0 ? slice.quota : slice.granted;
    for (const std::string& pool : slice.pools) {
      held[pool] += bytes;
      if (slice.account && bytes != 0) held_by[pool][*slice.account] += bytes;
    }
  }
  return std::ranges::all_of(pools_, [&](const auto& entry) {
    const auto& [name, pool] = entry;
    uint64_t sum = 0;
    for (const auto& [account, bytes] : pool.held_by) sum += bytes;
    return held[name] == pool.held && held_by[name] == pool.held_by && sum == pool.held_by_accounts;
  });
}

}  // namespace amalgam::core
