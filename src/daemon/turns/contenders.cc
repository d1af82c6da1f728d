// SPDX-License-Identifier: Apache-2.0
#include "daemon/turns/contenders.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/host/process.h"
#include "protocol/control/control.h"
#include "protocol/link/ring.h"

namespace amalgam::daemon {

using protocol::Binding;

namespace {

constexpr uint64_t kAloneAfterNs = 1'000'000'000;                    // without a freeze
constexpr uint64_t kWindowNs = 50'000'000;                           // what is seen of launches in less says nothing
constexpr uint64_t kLongLaunchNs = 40'000, kShortLaunchNs = 25'000;  // one processor each from here on, up to here not
// All together: so many launches and more, which use no more than this part of the time. A longer one among them runs on one
// processor, but only for so small a part of the time.
constexpr uint64_t kManyLaunchesNs = 1'000'000, kRareUse = 10, kSeldomUse = 5;

constexpr uint64_t kRestPart = 5, kElsewherePart = 10;  // what counts, of what is used at rest, and beside another device
constexpr uint64_t kLeastAlarmNs = 500'000;             // alarms come with the kernel's ticks: a shorter one is none
constexpr uint64_t kEscapeAlarmNs = 5'000'000;          // a stop takes until a thread leaves the kernel

template <typename Field>
bool any(const Contender& contender, Field field) {
  return std::ranges::any_of(contender.indices, [&](uint32_t index) {
    return (contender.counters->claims[index].*field).load(std::memory_order_seq_cst) != 0;
  });
}

uint32_t bits_of(const Contender& contender) {
  uint32_t bits = 0;
  for (uint32_t index : contender.indices) bits |= 1u << index;
  return bits;
}

/// Whether the worker has shown what its program has knocked for; or ran just before the knock: then that has taken long.
bool has_come(const Contender& contender) {
  constexpr uint64_t kLateNs = 1'000'000;
  return contender.wanting() || contender.in_flight() || contender.idle_since_ns() + kLateNs >= contender.knocked_ns;
}

bool is_awaited(const Contender& contender, uint64_t now_ns) {
  return contender.knocked_ns != 0 && now_ns < contender.knocked_ns + Contenders::kKnockNs && !has_come(contender);
}

void stop(const Contender& contender) {
  if (!signal_group(contender.pidfd, contender.pid, SIGSTOP)) return;  // it is gone; its number may be somebody else's
  for (const auto& runner : contender.counters->runners) {
    const auto found = contender.threads.find(runner.load(std::memory_order_relaxed));
    if (found != contender.threads.end()) ::tgkill(contender.pid, found->second, SIGSTOP);
  }
}

/// On a device that we have given it.
bool works_elsewhere(const Contender& contender) {
  const uint32_t others = contender.held == nullptr ? 0 : *contender.held & ~bits_of(contender);
  for (uint32_t index = 0; index < model::kMaxSessionDevices; ++index)
    if ((others >> index & 1) != 0 && contender.counters->claims[index].in_flight.load(std::memory_order_relaxed) != 0)
      return true;
  return false;
}

void tell(Contender& contender, Binding binding) {
  if (contender.binding == binding || contender.worker == nullptr) return;
  // A worker whose socket is full hears it the next time.
  for (uint32_t index : contender.indices)
    if (!contender.worker->send(protocol::BindThreads{index, binding}, 0)) return;
  contender.binding = binding;
}

/// What a session did since the last look. Where it has several devices, its launches are those of all.
struct Pace {
  uint64_t launches = 0, device_ns = 0, elapsed_ns = 0;
  bool in_flight = false;

  /// Device time of a launch. One that does not end in a whole window is long.
  uint64_t launch_ns() const {
    if (device_ns == 0) return in_flight ? kLongLaunchNs : 0;
    return device_ns / std::max<uint64_t>(launches, 1);
  }
  bool uses_less_than(uint64_t part) const {
    return launches >= elapsed_ns / kManyLaunchesNs && device_ns <= elapsed_ns / part;
  }
};

/// Empty: too little time has passed.
std::optional<Pace> pace_of(Contender& contender, uint64_t now_ns) {
  if (now_ns < contender.seen_at_ns + kWindowNs) return std::nullopt;
  const uint64_t launches = contender.counters->launches.load(std::memory_order_relaxed);
  uint64_t device_ns = 0;
  for (uint32_t index : contender.indices)
    device_ns += contender.counters->device_time_ns[index].load(std::memory_order_relaxed);
  Pace pace;
  pace.launches = launches - std::exchange(contender.seen_launches, launches);
  pace.device_ns = device_ns - std::exchange(contender.seen_time_ns, device_ns);
  pace.elapsed_ns = now_ns - std::exchange(contender.seen_at_ns, now_ns);
  pace.in_flight = contender.in_flight();
  return pace;
}

Binding best(Binding now, const Pace& pace) {
  const uint64_t took = pace.launch_ns();
  if (took >= kLongLaunchNs || (now == Binding::kEach && took > kShortLaunchNs)) return Binding::kEach;
  return pace.uses_less_than(now == Binding::kTogether ? kSeldomUse : kRareUse) ? Binding::kTogether : Binding::kFree;
}

}  // namespace

bool Contender::in_flight() const { return any(*this, &model::Counters::Claim::in_flight); }
bool Contender::wanting() const { return any(*this, &model::Counters::Claim::wanting); }

uint64_t Contender::idle_since_ns() const {
  uint64_t latest = 0;
  for (uint32_t index : indices)
    latest = std::max(latest, counters->claims[index].idle_since_ns.load(std::memory_order_relaxed));
  return latest;
}

Contenders::Sight Contenders::look(core::SliceId slice, uint64_t now_ns) const {
  Sight sight;
  for (const Contender& contender : contenders_) {
    if (contender.slice != slice || contender.released) continue;
    sight.pending |= contender.wanting() || is_awaited(contender, now_ns) || (contender.computes() && !contender.granted);
    // A frozen worker may have nothing in flight by now: its last command ended before the signal took hold. What it would
    // do next it cannot say, so it counts as busy until its turn.
    sight.in_flight |= contender.frozen || contender.in_flight() || (contender.computes() && contender.granted);
    sight.idle_for_ns = std::min(sight.idle_for_ns, now_ns - std::min(now_ns, contender.idle_since_ns()));
  }
  return sight;
}

// ---- what the kernel counted --------------------------------------------------------------------------------------------

uint64_t Contenders::measure(core::SliceId slice, uint64_t now_ns) {
  uint64_t used_ns = 0;
  for (Contender& contender : contenders_) {
    if (contender.slice != slice) continue;
    // When its helpers ran what they ran since they were counted last nobody knows: they are charged, and no more.
    const uint64_t own_ns = contender.meter.take();
    judge(contender, own_ns, now_ns);
    used_ns += own_ns + std::exchange(contender.children_ns, 0);
  }
  return used_ns;
}

/// What somebody does whom we have let work is not held against it; else it has a margin.
void Contenders::judge(Contender& contender, uint64_t used_ns, uint64_t now_ns) {
  if (contender.released || !freezable_) return;
  if (contender.frozen) return judge_escape(contender, used_ns, now_ns);
  if (contender.granted && (contender.in_flight() || contender.wanting())) {
    contender.burning = false;
    return;
  }
  const uint64_t part = contender.granted ? kRestPart : works_elsewhere(contender) ? kElsewherePart : 1;
  contender.aside.owe(used_ns / part, now_ns);
  contender.burning = contender.aside.left_ns() == 0;
  set_alarm(contender, part);
}

/// For when its margin is used up, of which one part in `part` counts.
void Contenders::set_alarm(Contender& contender, uint64_t part) {
  if (freezable_) contender.meter.arm(std::max(contender.aside.left_ns() * part, kLeastAlarmNs));
}

void Contenders::hold_still(uint64_t now_ns) {
  for (Contender& contender : contenders_)
    if (!contender.granted && !contender.released && contender.computes()) freeze(contender, now_ns);
}

void Contenders::judge_escape(Contender& contender, uint64_t used_ns, uint64_t now_ns) {
  contender.since_frozen_ns += used_ns;
  if (contender.since_frozen_ns < kEscapeAlarmNs) return;
  contender.escapes.owe(std::exchange(contender.since_frozen_ns, 0), now_ns);
  if (contender.escapes.left_ns() == 0) escaped_.push_back(contender.session);
  stop(contender);
  contender.meter.arm(kEscapeAlarmNs);
}

void Contenders::note_children(uint64_t session, uint64_t count, uint64_t ran_ns) {
  if (!freezable_) return;  // they are no work of a card's
  for (Contender& contender : contenders_) {
    if (contender.session != session) continue;
    contender.children = count;
    contender.children_ns += ran_ns;
  }
}

bool Contenders::hold(core::SliceId slice) const {
  return std::ranges::any_of(contenders_, [&](const Contender& each) { return each.slice == slice && each.granted; });
}

core::SliceId Contenders::slice_of(uint64_t session) const {
  auto found = std::ranges::find(contenders_, session, &Contender::session);
  return found == contenders_.end() ? 0 : found->slice;
}

// ---- grants -------------------------------------------------------------------------------------------------------------

void Contenders::grant(core::SliceId slice, uint64_t now_ns) {
  for (Contender& contender : contenders_)
    if (contender.slice == slice) let_pass(contender, now_ns);
}

void Contenders::add(Contender contender, bool holds, uint64_t now_ns) {
  contenders_.push_back(std::move(contender));
  Contender& added = contenders_.back();
  if (holds) return let_pass(added, now_ns);
  take_grant(added);
  if (freezable_) added.meter.arm(kLeastAlarmNs);
}

void Contenders::take_grant(Contender& contender) {
  contender.granted = false;
  if (contender.held != nullptr) *contender.held &= ~bits_of(contender);
  for (uint32_t index : contender.indices) contender.grants->devices[index].granted.store(0, std::memory_order_seq_cst);
}

void Contenders::revoke(core::SliceId slice, uint64_t now_ns) {
  for (Contender& contender : contenders_) {
    if (contender.slice != slice || contender.released) continue;
    take_grant(contender);
    const bool computes = contender.computes() || contender.aside.left_ns() == 0;
    if (computes || (contender.in_flight() && !works_elsewhere(contender)))
      freeze(contender, now_ns);
    else
      set_alarm(contender, 1);
  }
}

bool Contenders::park(core::SliceId slice, uint64_t now_ns) {
  bool rests = true;
  for (Contender& contender : contenders_) {
    if (contender.slice != slice || contender.released) continue;
    rests = rests && !contender.computes();
    take_grant(contender);
    rests = rests && !contender.in_flight();
    set_alarm(contender, 1);
  }
  if (!rests) grant(slice, now_ns);
  return rests;
}

void Contenders::run_alone(core::SliceId slice, uint64_t now_ns) {
  if (!freezable_) return;  // not a processor, or not to be touched
  for (Contender& contender : contenders_) {
    if (contender.slice != slice || contender.frozen) continue;
    const std::optional<Pace> pace = pace_of(contender, now_ns);
    if (!pace) continue;
    const Binding binding = best(contender.binding, *pace);
    if (binding == Binding::kEach || now_ns >= contender.frozen_at_ns + kAloneAfterNs) tell(contender, binding);
  }
}

void Contenders::run_beside() {
  for (Contender& contender : contenders_)
    if (contender.binding == Binding::kTogether) tell(contender, Binding::kFree);
}

bool Contenders::knock(uint64_t session, uint64_t now_ns) {
  bool believed = true;
  for (Contender& contender : contenders_) {
    if (contender.session != session) continue;
    believed = believed && (contender.knocked_ns == 0 || has_come(contender));
    contender.knocked_ns = believed ? now_ns : 0;
  }
  return believed;
}

void Contenders::freeze(Contender& contender, uint64_t now_ns) {
  if (contender.frozen || !freezable_) return;
  guarded_ = guardian_.alive();
  if (!guarded_) return;
  stop(contender);
  contender.frozen = true;
  contender.frozen_at_ns = now_ns;
  contender.since_frozen_ns = 0;
  contender.meter.arm(kEscapeAlarmNs);
  tell(contender, Binding::kEach);
}

void Contenders::thaw(Contender& contender, uint64_t now_ns) {
  if (!contender.frozen) return;
  contender.frozen = false;
  const uint64_t stood_ns = now_ns - std::min(now_ns, contender.frozen_at_ns);
  for (uint32_t index : contender.indices)
    contender.grants->devices[index].frozen_ns.fetch_add(stood_ns, std::memory_order_relaxed);
  (void)signal_group(contender.pidfd, contender.pid, SIGCONT);
}

void Contenders::let_pass(Contender& contender, uint64_t now_ns) {
  thaw(contender, now_ns);
  contender.granted = true;
  contender.burning = false;
  if (contender.held != nullptr) *contender.held |= bits_of(contender);
  if (!contender.in_flight()) contender.meter.arm(kLeastAlarmNs);
  for (uint32_t index : contender.indices) {
    auto& word = contender.grants->devices[index].granted;
    if (word.exchange(1, std::memory_order_seq_cst) == 0) protocol::futex_wake_all(&word);
  }
}

void Contenders::let_go(Contender& contender, uint64_t now_ns) {
  contender.released = true;
  let_pass(contender, now_ns);
}

bool Contenders::erase(uint64_t session) {
  return std::erase_if(contenders_, [&](const Contender& contender) { return contender.session == session; }) != 0;
}

}  // namespace amalgam::daemon
