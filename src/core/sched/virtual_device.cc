// SPDX-License-Identifier: Apache-2.0
#include "core/sched/virtual_device.h"

#include <algorithm>

namespace amalgam::core {
namespace {

constexpr uint64_t kNever = Arbiter::kForeverNs;

}  // namespace

VirtualDevice::VirtualDevice(const Options& options) : options_(options), arbiter_(options.arbiter, 0) {}

VirtualDevice::Tenant* VirtualDevice::find(SliceId slice) {
  for (auto& tenant : tenants_) {
    if (tenant->id == slice) return tenant.get();
  }
  return nullptr;
}

Result<void> VirtualDevice::add(SliceId slice, std::string name, const Terms& terms, Workload workload) {
  AMALGAM_TRY(arbiter_.add_slice(now_ns_, slice, std::move(name), terms), "virtual device");
  tenants_.push_back(std::make_unique<Tenant>());
  Tenant& tenant = *tenants_.back();
  tenant.id = slice;
  tenant.workload = std::move(workload);
  tenant.has_goal = terms.slo.bound_ns != 0;
  arm(tenant, now_ns_);
  wake_ns_ = now_ns_;
  return {};
}

void VirtualDevice::remove(SliceId slice) {
  Tenant* tenant = find(slice);
  if (tenant == nullptr) return;
  if (occupant_ == tenant) {
    stop_work();
    release();
  }
  arbiter_.remove_slice(now_ns_, slice);
  std::erase_if(tenants_, [&](const auto& other) { return other.get() == tenant; });
  wake_ns_ = now_ns_;
}

Result<void> VirtualDevice::set_terms(SliceId slice, const Terms& terms) {
  AMALGAM_TRY(arbiter_.set_terms(now_ns_, slice, terms), "virtual device");
  find(slice)->has_goal = terms.slo.bound_ns != 0;
  wake_ns_ = now_ns_;
  return {};
}

Result<void> VirtualDevice::set_policy(std::string_view name) {
  wake_ns_ = now_ns_;
  return arbiter_.set_policy(now_ns_, name);
}

void VirtualDevice::lose() {
  stop_work();
  release();
  arbiter_.lose_device(now_ns_);
  for (auto& tenant : tenants_) {
    bool had_work = tenant->remaining_ns != 0 || !tenant->queue.empty();
    drop_work(*tenant);
    tenant->reported_busy = false;
    if (tenant->workload.closed && had_work) arm(*tenant, now_ns_);
  }
  wake_ns_ = now_ns_;
}

void VirtualDevice::drop_work(Tenant& tenant) {
  tenant.tally.lost += tenant.queue.size() + (tenant.remaining_ns != 0 ? 1 : 0);
  tenant.tally.completed_ns += tenant.remaining_ns != 0 ? tenant.current.length_ns - tenant.remaining_ns : 0;
  tenant.queue.clear();
  tenant.remaining_ns = 0;
}

const VirtualDevice::Tally& VirtualDevice::tally(SliceId slice) {
  Tenant& tenant = *find(slice);
  tenant.tally.waiting = tenant.queue.size() + (tenant.remaining_ns != 0 ? 1 : 0);
  tenant.tally.unfinished_ns = tenant.remaining_ns != 0 ? tenant.current.length_ns - tenant.remaining_ns : 0;
  return tenant.tally;
}

void VirtualDevice::arm(Tenant& tenant, uint64_t from_ns) {
  tenant.next = tenant.workload.next(from_ns);
  if (tenant.next) tenant.next->arrival_ns = std::max(tenant.next->arrival_ns, from_ns);
}

void VirtualDevice::arrive(Tenant& tenant) {
  while (tenant.next && tenant.next->arrival_ns <= now_ns_) {
    Launch launch = *tenant.next;
    tenant.next.reset();
    tenant.queue.push_back(launch);
    ++tenant.tally.arrived;
    if (!tenant.workload.closed) arm(tenant, launch.arrival_ns);
  }
}

/// Tells the arbiter what it must know; whether that may change a decision.
bool VirtualDevice::report(Tenant& tenant) {
  bool in_flight = tenant.remaining_ns != 0, pending = !tenant.queue.empty();
  bool busy = in_flight || pending;
  uint64_t oldest = 0;
  if (busy && tenant.has_goal) oldest = in_flight ? tenant.current.arrival_ns : tenant.queue.front().arrival_ns;
  if (busy == tenant.reported_busy && oldest == tenant.reported_oldest_ns) return false;
  bool changed = busy != tenant.reported_busy;
  tenant.reported_busy = busy;
  tenant.reported_oldest_ns = oldest;
  arbiter_.observe(now_ns_, tenant.id, {.pending = pending, .in_flight = in_flight, .oldest_ns = oldest});
  return changed;
}

uint64_t VirtualDevice::next_event() const {
  uint64_t next = std::min(wake_ns_, running_ ? piece_end_ns_ : kNever);
  for (const auto& tenant : tenants_) {
    if (tenant->next) next = std::min(next, tenant->next->arrival_ns);
  }
  return next;
}

void VirtualDevice::run_until(uint64_t end_ns) {
  for (uint64_t next = next_event(); next <= end_ns; next = next_event()) {
    now_ns_ = std::max(now_ns_, next);
    dispatch();
  }
  now_ns_ = end_ns;
  count_running();
  if (occupant_ != nullptr) {
    occupant_->tally.held_ns += now_ns_ - occupant_->held_since_ns;
    occupant_->held_since_ns = now_ns_;
  }
}

void VirtualDevice::dispatch() {
  bool changed = now_ns_ >= wake_ns_;
  if (running_ && piece_end_ns_ <= now_ns_) end_piece();
  for (auto& tenant : tenants_) arrive(*tenant);
  start_work();
  for (auto& tenant : tenants_) changed = report(*tenant) || changed;
  // A revoked slice with nothing running has left the device.
  if (occupant_ != nullptr && !may_start_ && !running_) {
    SliceId drained = occupant_->id;
    release();
    arbiter_.drained(now_ns_, drained);
    changed = true;
  }
  if (changed) decide();
}

void VirtualDevice::end_piece() {
  Tenant& tenant = *occupant_;
  stop_work();
  if (tenant.remaining_ns == 0) finish(tenant);
}

void VirtualDevice::finish(Tenant& tenant) {
  ++tenant.tally.completed;
  tenant.tally.completed_ns += tenant.current.length_ns;
  tenant.tally.latency.add(now_ns_ - tenant.current.arrival_ns);
  if (tenant.workload.closed) arm(tenant, now_ns_);
}

void VirtualDevice::start_work() {
  if (running_ || occupant_ == nullptr || !may_start_) return;
  Tenant& tenant = *occupant_;
  bool fresh = tenant.remaining_ns == 0;
  if (fresh && tenant.queue.empty()) return;
  started_ns_ = std::max(now_ns_, ready_ns_);
  if (fresh) {
    tenant.current = tenant.queue.front();
    tenant.queue.pop_front();
    tenant.remaining_ns = tenant.current.length_ns;
    tenant.tally.wait.add(started_ns_ - tenant.current.arrival_ns);
  }
  bool split = options_.piece_ns != 0 && !options_.arbiter.freezable;
  piece_end_ns_ = started_ns_ + (split ? std::min(options_.piece_ns, tenant.remaining_ns) : tenant.remaining_ns);
  running_ = true;
}

/// Brings the tally of the running launch up to date.
void VirtualDevice::count_running() {
  if (!running_ || now_ns_ <= started_ns_) return;
  uint64_t ran = now_ns_ - started_ns_;
  if (ran > occupant_->remaining_ns) violate("a launch ran for longer than it is");
  occupant_->remaining_ns -= std::min(ran, occupant_->remaining_ns);
  occupant_->tally.executed_ns += ran;
  started_ns_ = now_ns_;
}

/// The work on the device stops here, at the end of a piece or frozen.
void VirtualDevice::stop_work() {
  count_running();
  running_ = false;
}

void VirtualDevice::release() {
  if (occupant_ == nullptr) return;
  occupant_->tally.held_ns += now_ns_ - occupant_->held_since_ns;
  last_ = occupant_->id;
  occupant_ = nullptr;
  may_start_ = false;
}

void VirtualDevice::decide() {
  for (bool again = true; again;) {
    again = false;
    ++steps_;
    Arbiter::Step step = arbiter_.step(now_ns_);
    for (const Arbiter::Action& action : step) carry_out(action);
    wake_ns_ = step.next_wake_ns;
    if (wake_ns_ <= now_ns_) violate("the arbiter asks to be woken at once");
    start_work();
    if (occupant_ != nullptr && !may_start_ && !running_) {
      SliceId drained = occupant_->id;
      release();
      arbiter_.drained(now_ns_, drained);
      again = true;
    }
  }
}

void VirtualDevice::carry_out(const Arbiter::Action& action) {
  Tenant* tenant = find(action.slice);
  if (tenant == nullptr) return violate("an action for a slice that is gone");
  switch (action.kind) {
    case Arbiter::ActionKind::kGrant:
      if (occupant_ != nullptr && occupant_ != tenant) violate("a grant while another slice holds the device");
      if (occupant_ == tenant && !may_start_) violate("a grant before the revoked slice was drained");
      if (occupant_ == nullptr) {
        occupant_ = tenant;
        tenant->held_since_ns = now_ns_;
        ready_ns_ = now_ns_ + (last_ == tenant->id ? 0 : options_.switch_ns);
      }
      may_start_ = true;
      break;
    case Arbiter::ActionKind::kRevoke:
      if (occupant_ != tenant || !may_start_) return violate("a revoke of a slice that holds nothing");
      may_start_ = false;
      // A launch that has not begun in this grant stays where it was.
      if (running_ && (options_.arbiter.freezable || started_ns_ > now_ns_)) stop_work();
      if (options_.arbiter.freezable) release();
      break;
    case Arbiter::ActionKind::kHung:
      if (occupant_ != tenant) violate("a slice hangs that is not on the device");
      hung_.push_back(tenant->id);
      stop_work();
      release();
      drop_work(*tenant);
      tenant->next.reset();
      arbiter_.drained(now_ns_, tenant->id);
      report(*tenant);
      break;
  }
}

void VirtualDevice::violate(const std::string& what) {
  if (first_violation_.empty()) first_violation_ = "at " + std::to_string(now_ns_) + " ns: " + what;
}

}  // namespace amalgam::core
