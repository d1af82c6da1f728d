// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/memory_audit.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/units.h"
#include "daemon/host/memory_count.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kGroupReserve = 128 * kMiB;  ///< of memory.max: files that are read, and what the kernel keeps for itself

uint64_t beyond(uint64_t bytes, uint64_t allowed) { return bytes > allowed ? bytes - allowed : 0; }

/// `exactly`: for a verdict. A helper that has just been started shares its parent's pages.
uint64_t sum_private(const std::vector<pid_t>& members, bool exactly) {
  uint64_t sum = 0;
  for (pid_t pid : members) {
    auto bytes = exactly ? divided_private_bytes(pid) : std::nullopt;
    if (!bytes) bytes = private_bytes(pid);
    sum += bytes.value_or(0);
  }
  return sum;
}

}  // namespace

MemoryAudit::MemoryAudit(Common& common, const SliceRegistry& slices, SessionRegistry& sessions)
    : common_(common), slices_(slices), sessions_(sessions) {}

MemoryAudit::~MemoryAudit() {
  for (auto& [id, account] : accounts_) common_.loop.cancel(account.timer);
}

void MemoryAudit::begin(const SessionRecord& session) {
  if (!session.ends.heap) return;
  Account& account = accounts_[session.id];
  if (session.state == SessionRecord::State::kLive)
    account.base = private_bytes(session.worker.process.pid).value_or(kUnknownBase);
  bound(session, account);
}

void MemoryAudit::bound(const SessionRecord& session, const Account& account) const {
  const Slice* slice = slices_.find(session.slice);
  if (slice == nullptr || !session.worker.group.memory_bytes()) return;
  uint64_t most = slice->quota;
  if (most == 0)
    for (const std::string& pool : common_.devices.pools_of(session.devices))
      most = std::max(most, common_.ledger.pool(pool).capacity);
  session.worker.group.bound(
      {most + session.staging_bytes + kHeapCacheBytes + account.base + kDriverBytes + kGroupReserve, kWorkerTasks});
}

void MemoryAudit::set_quota(const Slice& slice) {
  for (const auto& [id, account] : accounts_)
    if (const SessionRecord* session = sessions_.find(id); session != nullptr && session->slice == slice.id)
      bound(*session, account);
}

void MemoryAudit::worker_gone(SessionRecord& session) const {
  if (!accounts_.contains(session.id) || !session.worker.group.ran_out()) return;
  session.blame("its worker held all the memory that its cgroup may (memory.max), and the kernel ended it",
                protocol::EventKind::kOverMemory);
}

void MemoryAudit::forget(uint64_t session) {
  auto node = accounts_.extract(session);
  if (node) common_.loop.cancel(node.mapped().timer);
}

MemoryAudit::Counted MemoryAudit::counted(uint64_t session) const {
  auto found = accounts_.find(session);
  if (found == accounts_.end()) return {};
  const Account& account = found->second;
  return {account.heap + beyond(account.own, account.base), account.heap + beyond(account.own, account.base + kDriverBytes)};
}

void MemoryAudit::look(SessionRecord& session, const std::vector<pid_t>* members) {
  auto found = accounts_.find(session.id);
  if (found == accounts_.end()) return;
  Account& account = found->second;
  account.heap = present_bytes(session.ends.heap.get());
  if (members != nullptr) account.own = beyond(sum_private(*members, false), members->size() > 1 ? account.shared : 0);
  judge(session, account);
}

MemoryAudit::Excess MemoryAudit::excess(const SessionRecord& session, const Account& account) const {
  // Of a session that moves the bytes lie there once more, on their way.
  const uint64_t granted = common_.ledger.granted(session.id) * (session.is_moving ? 2 : 1);
  return {beyond(account.heap, granted + session.staging_bytes + kHeapCacheBytes),
          beyond(account.own, account.base + kDriverBytes)};
}

void MemoryAudit::judge(SessionRecord& session, Account& account) {
  // What comes back holds what nobody knows yet.
  if (session.state != SessionRecord::State::kLive || account.timer != 0) return;
  if (common_.ledger.set_unasked(session.id, excess(session, account).sum())) return;
  ask_for_unused(session);
  account.timer = common_.loop.after_ms(kMemoryConfirmMs, [this, id = session.id] {
    accounts_.at(id).timer = 0;
    confirm(id);
  });
}

/// What workers keep without using it may be all that is missing.
void MemoryAudit::ask_for_unused(const SessionRecord& session) {
  for (const auto& [id, other] : sessions_.all())
    if (other->slice == session.slice && other->worker.channel) (void)other->worker.channel.send(protocol::Reclaim{}, 0);
}

void MemoryAudit::confirm(uint64_t id) {
  SessionRecord* session = sessions_.find(id);
  if (session == nullptr || session->worker.process.pid == 0) return;
  Account& account = accounts_.at(id);
  account.heap = present_bytes(session->ends.heap.get());
  const pid_t worker = session->worker.process.pid;
  const std::vector<pid_t> members = members_of({worker}).at(worker);
  account.own = sum_private(members, true);
  account.shared = beyond(sum_private(members, false), account.own);
  auto charged = common_.ledger.set_unasked(id, excess(*session, account).sum());
  if (charged) return;
  const std::string why = reason(*session, account, charged.error());
  if (session->ends.grants_page.get() != nullptr)
    session->ends.grants_page.get()->ending.store(model::Ending::kOverMemory, std::memory_order_release);
  sessions_.kill(*session, why, protocol::EventKind::kOverMemory);
}

std::string MemoryAudit::reason(const SessionRecord& session, const Account& account, const Error& refusal) const {
  const Excess over = excess(session, account);
  std::string what;
  if (over.heap != 0)
    what = format_bytes(over.heap) + " in its heap beside its regions (of " + format_bytes(account.heap) + " there)";
  if (over.own != 0)
    what += (what.empty() ? "" : " and ") + format_bytes(over.own) +
            " of its worker's own beyond what drivers may take (of " + format_bytes(account.own) + ")";
  return "it holds memory that nobody granted: " + what + "; " + refusal.message;
}

}  // namespace amalgam::daemon
