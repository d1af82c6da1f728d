// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/drainer.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

using protocol::DrainFate;
using protocol::DrainStep;

constexpr uint64_t kBusyMs = 200;     ///< a session that cannot be asked to move now is asked again so much later
constexpr size_t kMostEntries = 200;  ///< in one report: what surely fits into one control message
constexpr size_t kReasonBytes = 300;

uint64_t free_bytes(const core::Ledger::PoolState& pool) { return pool.capacity - std::min(pool.capacity, pool.held); }

}  // namespace

Drainer::Drainer(Common& common, const SliceRegistry& slices, SessionRegistry& sessions, Mover& mover, DeviceKeeper& keeper)
    : common_(common), slices_(slices), sessions_(sessions), mover_(mover), keeper_(keeper) {
  mover_.is_being_drained = [this](const SessionRecord& session) {
    return step_ == DrainStep::kMoving && std::ranges::find(session.devices, device_) != session.devices.end();
  };
}

Drainer::~Drainer() {
  common_.loop.cancel(timer_);
  mover_.is_being_drained = {};
}

bool Drainer::is_active() const { return step_ == DrainStep::kChecking || step_ == DrainStep::kMoving; }

Result<void> Drainer::start(uid_t by, const protocol::DrainDevice& request) {
  if (common_.devices.find(request.device) == nullptr)
    return fail(Code::kNotFound, "there is no device " + request.device + "; see `amalgam devices`");
  const bool takes_over = request.stay && request.device == device_;
  if (is_active() && !takes_over)
    return fail(Code::kLimit, "device " + device_ + " is being drained; one at a time: try again when it is done");
  if (request.to == request.device) return fail(Code::kInvalidArgument, "--to names the device that is to be drained");
  if (!request.to.empty()) {
    const model::Device* to = common_.devices.find(request.to);
    if (to == nullptr) return fail(Code::kNotFound, "there is no device " + request.to + "; see `amalgam devices`");
    if (to->health != model::Health::kHealthy) return fail(Code::kUnavailable, why_not_used(*to));
  }
  common_.loop.cancel(std::exchange(timer_, 0));
  ++number_;
  by_ = by;
  device_ = request.device;
  to_ = request.to;
  entries_.clear();
  set_step(DrainStep::kChecking);
  add_sessions();
  if (!request.stay) {
    go_on();
    return {};
  }
  for (Entry& entry : entries_) set_fate(entry, DrainFate::kStays, "it was to stay");
  auto drained = keeper_.drain(device_, by_);
  set_step(drained ? DrainStep::kDone : DrainStep::kRefused);
  return drained;
}

/// Those that are not here yet; the most urgent first.
void Drainer::add_sessions() {
  const auto old = static_cast<ptrdiff_t>(entries_.size());
  for (const auto& [id, session] : sessions_.all()) {
    const bool is_known = std::ranges::any_of(entries_, [&](const Entry& entry) { return entry.shown.session == id; });
    if (is_known || std::ranges::find(session->devices, device_) == session->devices.end()) continue;
    Entry entry{.shown = {.session = id, .uid = session->uid, .program = session->program}, .changed = ++revision_};
    if (const Slice* slice = slices_.find(session->slice)) entry.shown.priority = slice->terms.priority;
    entries_.push_back(std::move(entry));
  }
  std::sort(entries_.begin() + old, entries_.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.shown.priority, a.shown.session) < std::tie(b.shown.priority, b.shown.session);
  });
}

void Drainer::go_on(uint64_t ms) {
  common_.loop.cancel(timer_);
  timer_ = common_.loop.after_ms(ms, [this] {
    timer_ = 0;
    step();
  });
}

void Drainer::step() {
  if (step_ == DrainStep::kMoving) add_sessions();
  for (size_t i = 0; i < entries_.size(); ++i) {
    const DrainFate fate = entries_[i].shown.fate;
    const bool can_be_checked = fate == DrainFate::kWaiting && !must_wait(entries_[i].shown.session);
    if (can_be_checked && step_ == DrainStep::kChecking) return check(i);
    if ((fate == DrainFate::kWaiting || fate == DrainFate::kFits) && step_ == DrainStep::kMoving) return move(i);
  }
  conclude();
}

/// All have been seen to.
void Drainer::conclude() {
  if (step_ == DrainStep::kMoving) return set_step(DrainStep::kDone);
  if (step_ != DrainStep::kChecking) return;
  const bool cannot =
      std::ranges::any_of(entries_, [](const Entry& entry) { return entry.shown.fate == DrainFate::kCannot; });
  if (cannot) return set_step(DrainStep::kRefused);
  if (auto drained = keeper_.drain(device_, by_); !drained) {
    common_.log.error("device {}: {}", device_, drained.error().text());
    for (Entry& entry : entries_) set_fate(entry, DrainFate::kCannot, drained.error().message);
    return set_step(DrainStep::kRefused);
  }
  set_step(DrainStep::kMoving);
  go_on();
}

/// A session that is still opening, or on its way already.
bool Drainer::must_wait(uint64_t id) const {
  using State = SessionRecord::State;
  const SessionRecord* session = sessions_.find(id);
  return session != nullptr && (mover_.moves(id) || session->state == State::kStarting ||
                                session->state == State::kAdopting || session->state == State::kRecovering);
}

void Drainer::check(size_t index) { ask(index, true); }
void Drainer::move(size_t index) { ask(index, false); }

std::vector<std::string> Drainer::places_for(const Entry& entry) const {
  if (!to_.empty()) return {to_};
  std::vector<const model::Device*> devices;
  for (const model::Device& device : common_.devices.all())
    if (device.id != device_ && device.health == model::Health::kHealthy) devices.push_back(&device);
  const auto sessions_on = [this](const model::Device* device) {
    return std::ranges::count_if(sessions_.all(), [device](const auto& session) {
      return std::ranges::find(session.second->devices, device->id) != session.second->devices.end();
    });
  };
  // The best last; where the check has found a place, that one.
  std::ranges::stable_sort(devices, {}, [&](const model::Device* device) {
    return std::tuple(device->id == entry.shown.to, free_bytes(common_.ledger.pool(device->memory_pool)),
                      -sessions_on(device));
  });
  std::vector<std::string> places;
  for (const model::Device* device : devices) places.push_back(device->id);
  return places;
}

void Drainer::ask(size_t index, bool dry_run) {
  Entry& entry = entries_[index];
  const uint64_t id = entry.shown.session;
  const SessionRecord* session = sessions_.find(id);
  const bool is_there = session != nullptr && std::ranges::find(session->devices, device_) != session->devices.end();
  if (!is_there) {
    set_fate(entry, DrainFate::kEnded);
    return go_on();
  }
  if (must_wait(id)) return go_on(kBusyMs);
  if (!std::exchange(entry.tried, true)) {
    entry.places = places_for(entry);
    entry.since_ms = monotonic_ms();
  }
  if (monotonic_ms() - entry.since_ms > kMoveMs) entry.places.clear();
  if (entry.places.empty()) {
    const std::string why = entry.refusal.empty() ? "there is no other healthy device" : entry.refusal;
    set_fate(entry, dry_run ? DrainFate::kCannot : DrainFate::kStays, why);
    return go_on();
  }
  protocol::MoveSession wish;
  wish.session = id;
  wish.to = std::move(entry.places.back());
  wish.dry_run = dry_run;
  entry.places.pop_back();
  mover_.start_for_drain(wish, [this, drain = number_, index, dry_run](Result<protocol::SessionMoved> answer) {
    asked(drain, index, dry_run, std::move(answer));
  });
}

void Drainer::asked(uint64_t drain, size_t index, bool dry_run, Result<protocol::SessionMoved> answer) {
  if (drain != number_) return;
  Entry& entry = entries_[index];
  if (answer) {
    entry.shown.to = answer->to;
    entry.shown.pause_us = answer->pause_us;
    entry.tried = false;
    entry.refusal.clear();
    set_fate(entry, dry_run ? DrainFate::kFits : DrainFate::kMoved);
    keeper_.look_for_empty();
  } else if (entry.refusal.empty()) {
    entry.refusal = answer.error().message.substr(0, kReasonBytes);
  }
  if (is_active()) go_on();
}

bool Drainer::stop(const std::string& device) {
  if (device != device_ || !is_active()) return false;
  common_.loop.cancel(std::exchange(timer_, 0));
  set_step(DrainStep::kStopped);
  return true;
}

void Drainer::set_step(DrainStep step) {
  step_ = step;
  ++revision_;
  if (on_changed) on_changed();
}

void Drainer::set_fate(Entry& entry, DrainFate fate, std::string reason) {
  entry.shown.fate = fate;
  entry.shown.reason = std::move(reason);
  entry.changed = ++revision_;
  if (on_changed) on_changed();
}

Result<std::optional<protocol::DrainReport>> Drainer::report(const std::string& device, uint64_t seen) const {
  if (number_ == 0 || device != device_) return fail(Code::kNotFound, "device " + device + " is not being drained");
  if (seen >= revision_ && is_active()) return std::nullopt;
  protocol::DrainReport report{.device = device_, .step = step_, .seen = revision_};
  std::vector<const Entry*> changed;
  for (const Entry& entry : entries_)
    if (entry.changed > seen) changed.push_back(&entry);
  std::ranges::sort(changed, {}, &Entry::changed);
  report.more = changed.size() > kMostEntries;
  if (report.more) changed.resize(kMostEntries);
  if (report.more) report.seen = changed.back()->changed;
  for (const Entry* entry : changed) report.entries.push_back(entry->shown);
  return report;
}

}  // namespace amalgam::daemon
