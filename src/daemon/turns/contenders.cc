// SPDX-License-Identifier: Apache-2.0
#include "daemon/turns/contenders.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

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

bool send_signal(int pidfd, int number) { return ::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) == 0; }

/// Whether the worker has shown what its program has knocked for; or ran just before the knock: then that has taken long.
bool has_come(const Contender& contender) {
  constexpr uint64_t kLateNs = 1'000'000;
  const auto& claim = contender.claim();
  return claim.wanting.load(std::memory_order_seq_cst) != 0 || claim.in_flight.load(std::memory_order_seq_cst) != 0 ||
         claim.idle_since_ns.load(std::memory_order_relaxed) + kLateNs >= contender.knocked_ns;
}

bool is_awaited(const Contender& contender, uint64_t now_ns) {
  return contender.knocked_ns != 0 && now_ns < contender.knocked_ns + Contenders::kKnockNs && !has_come(contender);
}

void stop(const Contender& contender) {
  if (!send_signal(contender.pidfd, SIGSTOP)) return;  // it is gone, and its number may be somebody else's
  for (const auto& runner : contender.counters->runners)
    if (const pid_t thread = runner.load(std::memory_order_relaxed); thread > 0) ::tgkill(contender.pid, thread, SIGSTOP);
}

bool works_elsewhere(const Contender& contender) {
  for (uint32_t other = 0; other < model::kMaxSessionDevices; ++other)
    if (other != contender.index && contender.counters->claims[other].in_flight.load(std::memory_order_relaxed) != 0)
      return true;
  return false;
}

void tell(Contender& contender, Binding binding) {
  if (contender.binding == binding || contender.worker == nullptr) return;
  // A worker whose socket is full hears it the next time.
  if (contender.worker->send(protocol::BindThreads{contender.index, binding}, 0)) contender.binding = binding;
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
  const uint64_t device_ns = contender.counters->device_time_ns[contender.index].load(std::memory_order_relaxed);
  Pace pace;
  pace.launches = launches - std::exchange(contender.seen_launches, launches);
  pace.device_ns = device_ns - std::exchange(contender.seen_time_ns, device_ns);
  pace.elapsed_ns = now_ns - std::exchange(contender.seen_at_ns, now_ns);
  pace.in_flight = contender.claim().in_flight.load(std::memory_order_relaxed) != 0;
  return pace;
}

Binding best(Binding now, const Pace& pace) {
  const uint64_t took = pace.launch_ns();
  if (took >= kLongLaunchNs || (now == Binding::kEach && took > kShortLaunchNs)) return Binding::kEach;
  return pace.uses_less_than(now == Binding::kTogether ? kSeldomUse : kRareUse) ? Binding::kTogether : Binding::kFree;
}

}  // namespace

Contenders::Sight Contenders::look(core::SliceId slice, uint64_t now_ns) const {
  Sight sight;
  for (const Contender& contender : contenders_) {
    if (contender.slice != slice || contender.released) continue;
    const auto& claim = contender.claim();
    sight.pending |= claim.wanting.load(std::memory_order_seq_cst) != 0 || is_awaited(contender, now_ns);
    // A frozen worker may have nothing in flight by now: its last command ended before the signal took hold. What it would
    // do next it cannot say, so it counts as busy until its turn.
    sight.in_flight |= contender.frozen || claim.in_flight.load(std::memory_order_seq_cst) != 0;
    uint64_t since = claim.idle_since_ns.load(std::memory_order_relaxed);
    sight.idle_for_ns = std::min(sight.idle_for_ns, now_ns - std::min(now_ns, since));
  }
  return sight;
}

void Contenders::grant(core::SliceId slice, uint64_t now_ns) {
  for (Contender& contender : contenders_)
    if (contender.slice == slice) let_pass(contender, now_ns);
}

void Contenders::revoke(core::SliceId slice, uint64_t now_ns) {
  for (Contender& contender : contenders_) {
    if (contender.slice != slice || contender.released) continue;
    contender.grant().granted.store(0, std::memory_order_seq_cst);
    if (freezable_) freeze(contender, now_ns);
  }
}

bool Contenders::park(core::SliceId slice, uint64_t now_ns) {
  bool rests = true;
  for (Contender& contender : contenders_) {
    if (contender.slice != slice || contender.released) continue;
    contender.grant().granted.store(0, std::memory_order_seq_cst);
    rests = rests && contender.claim().in_flight.load(std::memory_order_seq_cst) == 0;
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
  if (contender.frozen || contender.claim().in_flight.load(std::memory_order_seq_cst) == 0 || works_elsewhere(contender))
    return;
  freezable_ = guardian_.alive();
  if (!freezable_) return;
  stop(contender);
  contender.frozen = true;
  contender.frozen_at_ns = now_ns;
  tell(contender, Binding::kEach);
}

void Contenders::thaw(Contender& contender, uint64_t now_ns) {
  if (!contender.frozen) return;
  contender.frozen = false;
  contender.grant().frozen_ns.fetch_add(now_ns - std::min(now_ns, contender.frozen_at_ns), std::memory_order_relaxed);
  (void)send_signal(contender.pidfd, SIGCONT);
}

void Contenders::let_pass(Contender& contender, uint64_t now_ns) {
  thaw(contender, now_ns);
  auto& word = contender.grant().granted;
  if (word.exchange(1, std::memory_order_seq_cst) == 0) protocol::futex_wake_all(&word);
}

void Contenders::let_go(Contender& contender, uint64_t now_ns) {
  contender.released = true;
  let_pass(contender, now_ns);
}

bool Contenders::erase(uint64_t session) {
  return std::erase_if(contenders_, [&](const Contender& contender) { return contender.session == session; }) != 0;
}

}  // namespace amalgam::daemon
