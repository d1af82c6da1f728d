// SPDX-License-Identifier: Apache-2.0
#include "daemon/slices/slice_registry.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "daemon/host/random_token.h"
#include "daemon/host/users.h"
#include "daemon/slices/admission.h"
#include "model/counters.h"

namespace amalgam::daemon {
namespace {

constexpr size_t kMaxName = 64;
constexpr size_t kMaxSelectors = kMaxDevices;
constexpr const char* kDefaultName = "default";

constexpr Bound kSlices{"slices", kMaxSlices, kMaxSlicesPerUser, kReservedSlices, "end one, see `amalgam ps`"};

Promise promise_of(const Slice& slice) {
  return {slice.id, slice.name, slice.terms, slice.devices, slice.owner, !is_privileged(slice.owner)};
}

core::Ledger::Account account_of(uid_t owner) {
  return is_privileged(owner) ? core::Ledger::Account() : core::Ledger::Account(owner);
}

bool has_all(const Slice& slice, const std::vector<std::string>& devices) {
  return std::ranges::all_of(
      devices, [&](const std::string& id) { return std::ranges::find(slice.devices, id) != slice.devices.end(); });
}

SliceRow row_of(const Slice& slice, pid_t creator_pid, uint64_t creator_start) {
  return {slice.id,    slice.token,   slice.name,       slice.owner, slice.quota,   slice.devices,
          creator_pid, creator_start, slice.class_name, slice.terms, slice.reliable};
}

}  // namespace

std::string terms_text(const model::Terms& terms, uint64_t quota) {
  return "share " + model::format_part(terms.share_ppm) + ", cap " + model::format_part(terms.cap_ppm) + ", priority " +
         std::string(model::priority_name(terms.priority)) + ", slo " + model::format_slo(terms.slo) + ", quota " +
         (quota == 0 ? "none" : format_bytes(quota));
}

std::string presentable(const std::string& name, size_t most) {
  std::string out;
  for (unsigned char c : name) out += c < 0x20 || c == 0x7f ? '?' : static_cast<char>(c);
  if (out.size() <= most) return out;
  out.resize(most);
  // Not in the middle of a character of several bytes.
  while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
  if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xc0) out.pop_back();
  return out;
}

SliceRegistry::~SliceRegistry() {
  for (auto& [id, slice] : slices_)
    if (slice->creator.pidfd) common_.loop.unwatch(slice->creator.pidfd.get());
}

SliceRegistry::SliceRegistry(Common& common, const Classes& classes, uint64_t& next_id)
    : common_(common), classes_(classes), next_id_(next_id) {
  common_.ledger.set_ceilings({kUserMemoryPpm, kUsersMemoryPpm});
}

Result<const Slice*> SliceRegistry::add(std::unique_ptr<Slice> slice, const SliceRow* row) {
  auto pools = common_.devices.pools_of(slice->devices);
  AMALGAM_TRY(common_.ledger.create_slice(slice->id, slice->name, std::move(pools), slice->quota, account_of(slice->owner)),
              "slice");
  if (row != nullptr) {
    if (auto recorded = common_.store.put(*row); !recorded) {
      common_.ledger.remove_slice(slice->id);
      return fail(std::move(recorded.error()).within("the slice cannot be recorded"));
    }
  }
  const Slice* made = slice.get();
  slices_.emplace(made->id, std::move(slice));
  if (on_made) on_made(*made);
  return made;
}

Result<void> SliceRegistry::check_limits(uid_t owner) const {
  Census now;
  for (const auto& [id, slice] : slices_) now.count(slice->owner, owner);
  return check_room(kSlices, now, is_privileged(owner));
}

Result<void> SliceRegistry::check_quota(const Slice& slice, uint64_t quota, uid_t asker) const {
  if (is_privileged(asker)) return {};
  const uint64_t before = slice.quota != 0 ? slice.quota : common_.ledger.slice_granted(slice.id);
  if (quota <= before) return {};
  return common_.ledger.check_ceilings(slice.owner, common_.devices.pools_of(slice.devices), quota - before);
}

Result<void> SliceRegistry::check_terms(const Slice& slice, const model::Terms& terms, uid_t asker) const {
  if (auto good = model::check(terms); !good) return good;
  bool becomes_realtime = terms.priority == model::Priority::kRealtime && slice.terms.priority != terms.priority;
  if (becomes_realtime && !is_privileged(asker)) {
    const Class* of = classes_.find(slice.class_name);
    if (of == nullptr || of->terms.terms.priority != model::Priority::kRealtime)
      return fail(Code::kPermissionDenied,
                  "priority realtime is for root, the daemon's own user, and classes that have it; ask for high");
  }
  std::vector<Promise> others;
  for (const auto& [id, other] : slices_) others.push_back(promise_of(*other));
  Promise wish = promise_of(slice);
  wish.terms = terms;
  auto admitted = admit(wish, others);
  return !admitted || is_privileged(asker) ? admitted : check_ceilings(wish, others);
}

Result<const Slice*> SliceRegistry::create(const Owner& owner, const protocol::CreateSlice& request) {
  if (request.version != protocol::kControlVersion)
    return fail(Code::kProtocol, "this daemon speaks control version " + std::to_string(protocol::kControlVersion));
  if (auto room = check_limits(owner.uid); !room) return std::unexpected(std::move(room.error()));
  if (request.devices.size() > kMaxSelectors) return fail(Code::kLimit, "more device names than there can be devices");
  auto devices = common_.devices.select(request.devices);
  if (!devices) return std::unexpected(std::move(devices.error()));
  if (devices->empty()) return fail(Code::kUnavailable, "the pool has no healthy device; see `amalgam devices`");
  if (devices->size() > model::kMaxSessionDevices)
    return fail(Code::kLimit, "a slice has at most " + std::to_string(model::kMaxSessionDevices) + " devices; name fewer");
  auto slice = std::make_unique<Slice>();
  slice->id = next_id_++;
  slice->token = random_token();
  slice->name = request.name.empty() ? "slice-" + std::to_string(slice->id) : presentable(request.name, kMaxName);
  slice->owner = owner.uid;
  slice->devices = std::move(*devices);
  slice->connection = owner.connection;
  slice->reliable = request.reliable;
  model::TermsPatch wish = request.terms;
  if (!request.class_name.empty()) {
    auto of = classes_.choose(presentable(request.class_name, kMaxName), owner.uid, owner.groups);
    if (!of) return std::unexpected(std::move(of.error()));
    slice->class_name = (*of)->name;
    wish.fill_from((*of)->terms);
  }
  model::Terms terms;
  uint64_t quota = 0;
  wish.apply(terms, quota);
  if (auto good = check_terms(*slice, terms, owner.uid); !good) return std::unexpected(std::move(good.error()));
  if (auto fits = check_quota(*slice, quota, owner.uid); !fits) return std::unexpected(std::move(fits.error()));
  slice->terms = terms;
  slice->quota = quota;
  const SliceRow row = row_of(*slice, owner.pid, start_time_of(owner.pid));
  return add(std::move(slice), &row);
}

Result<const Slice*> SliceRegistry::set(uint64_t id, uid_t uid, const model::TermsPatch& change) {
  auto found = slices_.find(id);
  if (found == slices_.end()) return fail(Code::kNotFound, "there is no slice " + std::to_string(id) + "; see `amalgam ps`");
  Slice& slice = *found->second;
  if (uid != slice.owner && uid != 0)
    return fail(Code::kPermissionDenied, "slice " + std::to_string(id) + " \"" + slice.name + "\" belongs to user id " +
                                             std::to_string(slice.owner) + "; only that user and root may change it");
  model::Terms terms = slice.terms;
  uint64_t quota = slice.quota;
  change.apply(terms, quota);
  if (terms == slice.terms && quota == slice.quota) return &slice;
  if (auto good = check_terms(slice, terms, uid); !good) return std::unexpected(std::move(good.error()));
  if (quota != slice.quota) {
    if (auto fits = check_quota(slice, quota, uid); !fits) return std::unexpected(std::move(fits.error()));
    if (auto reserved = common_.ledger.set_quota(id, quota); !reserved) return std::unexpected(std::move(reserved.error()));
  }
  std::swap(slice.terms, terms);
  std::swap(slice.quota, quota);
  auto changed = on_terms_changed ? on_terms_changed(slice) : Result<void>();
  if (changed) {
    changed = common_.store.set_terms(id, slice.quota, slice.terms);
    if (changed) return &slice;
    changed = std::unexpected(std::move(changed.error()).within("the change cannot be recorded"));
  }
  // As it was, for everybody who has heard of it. What it held before it can hold again: nobody can have taken it meanwhile.
  std::swap(slice.terms, terms);
  std::swap(slice.quota, quota);
  common_.expect(common_.ledger.set_quota(id, slice.quota));
  if (on_terms_changed) (void)on_terms_changed(slice);
  return std::unexpected(std::move(changed.error()));
}

Result<const Slice*> SliceRegistry::look_up(const protocol::Token& token, uid_t uid) const {
  bool is_default = token == protocol::Token{};
  for (const auto& [id, slice] : slices_) {
    if (slice->token != token || (is_default && slice->owner != uid)) continue;
    if (slice->owner != uid && uid != 0) return fail(Code::kPermissionDenied, "the slice belongs to another user");
    return slice.get();
  }
  if (is_default) return nullptr;
  return fail(Code::kNotFound, "there is no such slice; it ends with the `amalgam run` that made it");
}

Result<const Slice*> SliceRegistry::resolve(const protocol::Token& token, uid_t uid) {
  auto found = look_up(token, uid);
  if (!found || *found != nullptr) return found;
  if (auto room = check_limits(uid); !room) return std::unexpected(std::move(room.error()));
  auto slice = std::make_unique<Slice>();
  slice->id = next_id_++;
  slice->name = kDefaultName;
  slice->owner = uid;
  slice->devices = common_.devices.healthy();
  if (slice->devices.size() > model::kMaxSessionDevices) slice->devices.resize(model::kMaxSessionDevices);
  if (slice->devices.empty()) return fail(Code::kUnavailable, "the pool has no healthy device; see `amalgam devices`");
  const SliceRow row = row_of(*slice, 0, 0);
  return add(std::move(slice), &row);
}

Result<std::vector<std::string>> SliceRegistry::usable_devices(const Slice& slice) const {
  std::vector<std::string> usable;
  std::string why = "the devices of slice " + std::to_string(slice.id) + " \"" + slice.name + "\" are not there any more";
  for (const std::string& id : slice.devices) {
    const model::Device* device = common_.devices.find(id);
    if (device == nullptr) continue;
    if (device->health == model::Health::kHealthy) {
      usable.push_back(id);
    } else {
      why = why_not_used(*device);
    }
  }
  if (usable.empty()) return fail(Code::kUnavailable, why);
  return usable;
}

Result<void> SliceRegistry::check_devices(uint64_t id, const std::vector<std::string>& devices) const {
  const Slice& slice = *slices_.at(id);
  if (has_all(slice, devices)) return {};
  if (slice.is_default() || slice.sessions != 1)
    return fail(Code::kUnsupported, "slice " + std::to_string(id) + " \"" + slice.name +
                                        "\" is used by other sessions too; only the one session of a slice can be moved");
  if (common_.devices.pools_of(devices) != common_.devices.pools_of(slice.devices))
    return fail(Code::kUnsupported, "that device has its memory in another pool; sessions move within one so far");
  std::vector<Promise> others;
  for (const auto& [other_id, other] : slices_) others.push_back(promise_of(*other));
  Promise wish = promise_of(slice);
  wish.devices = devices;
  return admit(wish, others);
}

Result<void> SliceRegistry::set_devices(uint64_t id, const std::vector<std::string>& devices) {
  if (auto may = check_devices(id, devices); !may) return may;
  Slice& slice = *slices_.at(id);
  if (has_all(slice, devices)) return {};
  AMALGAM_TRY(common_.store.set_devices(id, devices), "the move cannot be recorded");
  slice.devices = devices;
  return {};
}

const Slice* SliceRegistry::find(uint64_t id) const {
  auto found = slices_.find(id);
  return found == slices_.end() ? nullptr : found->second.get();
}

void SliceRegistry::session_opened(uint64_t slice) { ++slices_.at(slice)->sessions; }

void SliceRegistry::session_ended(uint64_t slice) {
  --slices_.at(slice)->sessions;
  collect(slice);
}

void SliceRegistry::connection_closed(uint64_t connection) {
  std::vector<uint64_t> orphans;
  for (auto& [id, slice] : slices_) {
    if (slice->connection != connection) continue;
    slice->connection = 0;
    orphans.push_back(id);
  }
  for (uint64_t id : orphans) collect(id);
}

void SliceRegistry::collect_all() {
  std::vector<uint64_t> ids;
  for (const auto& [id, slice] : slices_) ids.push_back(id);
  for (uint64_t id : ids) collect(id);
}

void SliceRegistry::collect(uint64_t id) {
  const Slice& slice = *slices_.at(id);
  if (slice.sessions != 0 || slice.connection != 0 || slice.creator.pidfd) return;
  common_.ledger.remove_slice(id);
  common_.expect(common_.store.drop_slice(id));
  auto gone = slices_.extract(id);
  if (on_gone) on_gone(*gone.mapped());
}

size_t SliceRegistry::named() const {
  return static_cast<size_t>(std::ranges::count_if(slices_, [](const auto& entry) { return !entry.second->is_default(); }));
}

Result<void> SliceRegistry::restore(const SliceRow& row) {
  auto slice = std::make_unique<Slice>();
  slice->id = row.id;
  slice->token = row.token;
  slice->name = row.name;
  slice->owner = row.owner;
  slice->quota = row.quota;
  slice->devices = row.devices;
  slice->class_name = row.class_name;
  slice->terms = row.terms;
  slice->reliable = row.reliable != 0;
  if (auto creator = find_process(row.creator_pid, row.creator_start)) slice->creator = std::move(*creator);
  Slice& kept = *slice;
  auto made = add(std::move(slice), nullptr);
  if (!made) return std::unexpected(std::move(made.error()));
  if (kept.creator.pidfd) watch_creator(kept);
  return {};
}

void SliceRegistry::watch_creator(Slice& slice) {
  auto watched = common_.loop.watch(slice.creator.pidfd.get(), EPOLLIN, [this, id = slice.id](uint32_t) {
    Slice& of = *slices_.at(id);
    common_.loop.unwatch(of.creator.pidfd.get());
    of.creator = Process{};
    collect(id);
  });
  if (!watched) slice.creator = Process{};
}

}  // namespace amalgam::daemon
