// SPDX-License-Identifier: Apache-2.0
#include "daemon/turns/arbitration.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <future>
#include <utility>

#include "protocol/link/ring.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kPollNs = 500'000;             // how soon an idle holder is found while others want the device
constexpr uint64_t kSporadicPollNs = 100'000;     // and one that will probably be idle as soon as this work has ended
constexpr uint32_t kMostPatience = 3;             // that doubles with each look that finds it busy, so often
constexpr uint64_t kCalmPollNs = 100'000'000;     // how often a holder that runs alone is looked at
constexpr uint64_t kParkAfterNs = 1'000'000'000;  // a rest after which it has to ring again
constexpr uint64_t kShortGapNs = 300'000;         // shorter than a look by the clock can tell from work, in most slices
constexpr uint64_t kDrainPollNs = 200'000;        // revoked work rings when it has ended; a bell can be missed
constexpr uint32_t kUrgentPart = 2;               // of a piece's length runs at once where somebody more urgent may come
constexpr uint64_t kDeafNs = 1'000'000'000;       // for whoever has knocked for nothing
constexpr const char* kProcessors = "processors";
constexpr int kUrgentNice = -15;  // of our thread, where it may not have a real-time class

/// Our thread sleeps, and decides when it wakes: it should not wait for the processor that it is about to take away from
/// somebody. Refused without the right to; then the kernel's favour for those who sleep has to do. (Niceness alone does not
/// help where processes are grouped by session, see docs/traps/autogroup.md.)
void become_urgent() {
  sched_param first{};
  first.sched_priority = 1;
  if (::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first) == 0) return;
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kUrgentNice);
}

}  // namespace

uint64_t Arbitration::processors() {
  cpu_set_t ours;
  CPU_ZERO(&ours);
  const bool known = ::sched_getaffinity(0, sizeof ours, &ours) == 0 && CPU_COUNT(&ours) > 0;
  return known ? static_cast<uint64_t>(CPU_COUNT(&ours)) : std::max(1u, std::thread::hardware_concurrency());
}

Result<std::unique_ptr<Arbitration>> Arbitration::start(Options options, Guardian& guardian, Logger& log, OnEscape on_escape,
                                                        OnHung on_hung) {
  std::unique_ptr<Arbitration> made(
      new Arbitration(std::move(options), guardian, log, std::move(on_escape), std::move(on_hung)));
  if (auto prepared = made->prepare(); !prepared) return fail(std::move(prepared.error()).within("arbitration"));
  return made;
}

Result<void> Arbitration::prepare() {
  policy_ = options_.policy;
  if (auto known = core::find_policy(policy_); !known) return fail(std::move(known.error()));
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_ || !timer_ || !wake_) return fail(system_error("descriptors", errno));
  for (int fd : {timer_.get(), wake_.get()}) AMALGAM_TRY(wait_for_edges(epoll_.get(), fd), "epoll");
  voices_ = Voices(epoll_.get());
  // Alarms come to the thread that asks for them.
  std::promise<Result<void>> ready;
  thread_ = std::thread([this, &ready] {
    auto alarms = Alarms::create();
    auto heard = alarms ? wait_for_edges(epoll_.get(), alarms->fd()) : std::unexpected(std::move(alarms.error()));
    const bool good = heard.has_value();
    if (good) alarms_ = std::move(*alarms);
    ready.set_value(std::move(heard));
    if (good) run();
  });
  auto started = ready.get_future().get();
  if (!started) thread_.join();
  return started;
}

Arbitration::~Arbitration() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  poke();
  if (thread_.joinable()) thread_.join();
  uint64_t now = protocol::monotonic_ns();
  for (auto& [id, device] : devices_)
    for (Contender& contender : device->contenders) Contenders::let_go(contender, now);
}

void Arbitration::poke() const {
  uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void Arbitration::run() {
  become_urgent();
  for (;;) {
    // Edges, and nothing is read: a bell belongs to a worker, which could make a read of it block.
    epoll_event events[64];
    int count = ::epoll_wait(epoll_.get(), events, 64, -1);
    if (count < 0 && errno != EINTR) return;
    std::lock_guard lock(mutex_);
    if (stop_) return;
    uint64_t now = protocol::monotonic_ns(), wake = UINT64_MAX;
    for (int i = 0; i < count; ++i) hear(events[i].data.fd, now);
    wake = voices_.listen_again(now);
    for (auto& [id, device] : devices_) {
      attend(*device, now);
      wake = std::min(wake, device->wake_ns);
      for (uint64_t session : device->contenders.escaped())
        if (on_escape_) on_escape_(session);
    }
    itimerspec when{};
    if (wake != UINT64_MAX) {
      wake = std::max(wake, uint64_t{1});
      when.it_value = {static_cast<time_t>(wake / 1'000'000'000), static_cast<long>(wake % 1'000'000'000)};
    }
    ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
  }
}

/// A bell or a clock says only that it is time to look; a knock has to be noted, and who an alarm is about measured.
void Arbitration::hear(int fd, uint64_t now_ns) {
  if (fd == alarms_->fd()) {
    alarms_->take([&](uint64_t session) {
      for (auto& [id, device] : devices_)
        if (core::SliceId slice = device->contenders.slice_of(session)) weigh(*device, slice, now_ns);
    });
    return;
  }
  const std::optional<Voices::Heard> heard = voices_.hear(fd, now_ns);
  if (!heard || !heard->knocks) return;
  bool believed = true;
  for (auto& [id, device] : devices_) believed = device->contenders.knock(heard->session, now_ns) && believed;
  // It wakes us for nothing, however often it likes.
  if (!believed) voices_.ignore(fd, now_ns + kDeafNs);
}

/// Charges a slice for what the kernel counted, where that is more than what it has been charged.
void Arbitration::weigh(GovernedDevice& device, core::SliceId slice, uint64_t now_ns) {
  auto found = device.governed.find(slice);
  if (found == device.governed.end()) return;
  Governed& of = found->second;
  const uint64_t counted_ns = device.contenders.measure(slice, now_ns) / processors_;
  (void)device.arbiter.totals(now_ns, slice);  // up to now
  // Less than before where the worker has said that it rested.
  of.ahead_ns += static_cast<int64_t>(device.arbiter.used_ns(slice) - of.charged_ns) - static_cast<int64_t>(counted_ns);
  if (of.ahead_ns < 0) {
    const uint64_t over_ns = of.free.spend(static_cast<uint64_t>(-of.ahead_ns), now_ns);
    if (over_ns != 0) device.arbiter.correct(now_ns, slice, static_cast<int64_t>(over_ns));
    of.ahead_ns = 0;
  }
  of.charged_ns = device.arbiter.used_ns(slice);
}

/// A turn begins: what the last one was charged beyond what was counted pays for nothing that comes. It has paid for what
/// was counted late: the kernel adds up what a thread runs in its ticks and when it stops.
void Arbitration::begin_count(GovernedDevice& device, core::SliceId slice, uint64_t now_ns) {
  weigh(device, slice, now_ns);
  if (auto found = device.governed.find(slice); found != device.governed.end()) found->second.ahead_ns = 0;
}

/// A shorter pause of this slice counts as work.
uint64_t Arbitration::short_gap_ns(const GovernedDevice& device, core::SliceId slice) {
  return device.arbiter.is_sporadic(slice) ? core::GapEstimator::kLeastNs : kShortGapNs;
}

Contenders::Sight Arbitration::look(const GovernedDevice& device, core::SliceId slice, uint64_t now_ns) {
  Contenders::Sight sight = device.contenders.look(slice, now_ns);
  if (slice == device.arbiter.holder() && sight.idle_for_ns < short_gap_ns(device, slice)) sight.in_flight = true;
  return sight;
}

/// Looks, and tells the arbiter.
Contenders::Sight Arbitration::observe(GovernedDevice& device, core::SliceId slice, uint64_t now_ns) {
  Contenders::Sight sight = look(device, slice, now_ns);
  device.arbiter.observe(now_ns, slice, {sight.pending, sight.in_flight, sight.busy() ? 0 : sight.idle_for_ns, 0});
  return sight;
}

/// Whoever lost the device as idle may have begun something before that took hold, and stands still with it: it cannot ring.
bool Arbitration::came_back(GovernedDevice& device, const core::Arbiter::Step& step, uint64_t now_ns) {
  return std::ranges::any_of(step, [&](const core::Arbiter::Action& action) {
    const bool was_idle = action.kind == core::Arbiter::ActionKind::kRevoke && !device.arbiter.is_busy(action.slice);
    return was_idle && observe(device, action.slice, now_ns).busy();
  });
}

void Arbitration::attend(GovernedDevice& device, uint64_t now_ns) {
  size_t wanting = 0;
  const bool was_freezable = device.contenders.freezable();
  weigh(device, device.arbiter.holder(), now_ns);
  for (const auto& [slice, contenders] : device.governed) {
    Contenders::Sight sight = observe(device, slice, now_ns);
    wanting += sight.busy() ? 1 : 0;
    if (slice == device.arbiter.draining() && !sight.in_flight) device.arbiter.drained(now_ns, slice);
    if (device.parked && slice == device.arbiter.holder() && sight.busy()) {
      device.parked = false;
      device.contenders.grant(slice, now_ns);
    }
  }
  if (!device.goals.empty() && now_ns >= device.goals_due_ns) weigh_goals(device, now_ns);
  auto act = [&] {
    auto step = device.arbiter.step(now_ns);
    for (const auto& action : step) carry_out(device, action, now_ns);
    return step;
  };
  auto step = act();
  if (core::SliceId leaving = device.arbiter.draining(); leaving != 0 && !look(device, leaving, now_ns).in_flight) {
    device.arbiter.drained(now_ns, leaving);  // it had nothing there: nobody will ring
    step = act();
  }
  if (came_back(device, step, now_ns)) {
    ++wanting;
    step = act();
  }
  device.contenders.hold_still(now_ns);
  note_guard(device, was_freezable);
  device.wake_ns = plan(device, step, wanting, now_ns);
  bool runs = device.arbiter.holder() != 0 && !device.parked;
  if (runs && !device.goals.empty()) device.wake_ns = std::min(device.wake_ns, device.goals_due_ns);
}

void Arbitration::weigh_goals(GovernedDevice& device, uint64_t now_ns) {
  device.goals_due_ns = now_ns + core::Goals::kPeriodNs;
  auto slices = device.goals.slices();
  for (Contender& contender : device.contenders) {
    if (contender.released || !std::ranges::binary_search(slices, contender.slice)) continue;
    const bool first = contender.latencies.empty();
    if (first) contender.latencies.resize(contender.indices.size() * model::kLatencyBuckets);
    auto seen = contender.latencies.begin();
    for (uint32_t index : contender.indices)
      for (size_t bucket = 0; bucket < model::kLatencyBuckets; ++bucket) {
        const uint32_t ended = contender.counters->latencies[index][bucket].load(std::memory_order_relaxed);
        const uint32_t since = ended - std::exchange(*seen++, ended);
        if (!first && since != 0) device.goals.observe(contender.slice, model::latency_edge_ns(bucket), since);
      }
  }
  device.goals.update(now_ns, device.arbiter);
}

/// While others want the device: when to look at its holder again. Bells come when they like and change nothing about that.
uint64_t Arbitration::next_look(GovernedDevice& device, uint64_t now_ns) {
  const core::SliceId holder = device.arbiter.holder();
  const Contenders::Sight sight = device.contenders.look(holder, now_ns);
  const uint64_t poll_ns = device.arbiter.is_sporadic(holder) ? kSporadicPollNs : kPollNs;
  if (!sight.busy()) {
    const uint64_t short_gap = short_gap_ns(device, holder);
    device.look_ns = 0;
    device.patience = 0;
    return now_ns + (sight.idle_for_ns < short_gap ? short_gap - sight.idle_for_ns : poll_ns);
  }
  if (now_ns >= device.look_ns) {
    device.look_ns = now_ns + (poll_ns << device.patience);
    device.patience = std::min(device.patience + 1, kMostPatience);
  }
  return device.look_ns;
}

/// When to look again. Parks a holder that rests.
uint64_t Arbitration::plan(GovernedDevice& device, const core::Arbiter::Step& step, size_t wanting, uint64_t now_ns) {
  uint64_t wake = step.next_wake_ns;
  if (device.arbiter.draining() != 0) return std::min(wake, now_ns + kDrainPollNs);
  core::SliceId holder = device.arbiter.holder();
  if (holder == 0 || device.parked) return wake;
  if (wanting > 1) {
    device.contenders.run_beside();
    return std::min(wake, next_look(device, now_ns));
  }
  device.contenders.run_alone(holder, now_ns);
  Contenders::Sight sight = look(device, holder, now_ns);
  if (!sight.busy() && sight.idle_for_ns >= kParkAfterNs) device.parked = device.contenders.park(holder, now_ns);
  return device.parked ? wake : std::min(wake, now_ns + kCalmPollNs);
}

void Arbitration::carry_out(GovernedDevice& device, const core::Arbiter::Action& action, uint64_t now_ns) {
  switch (action.kind) {
    case core::Arbiter::ActionKind::kGrant:
      if (!device.contenders.hold(action.slice)) begin_count(device, action.slice, now_ns);
      device.parked = false;
      device.patience = 0;
      device.look_ns = 0;
      return device.contenders.grant(action.slice, now_ns);
    case core::Arbiter::ActionKind::kRevoke: device.parked = false; return revoke(device, action.slice, now_ns);
    case core::Arbiter::ActionKind::kHung:
      log_.error("{}: slice {} was asked to leave the device and does not; the others go on without waiting for it",
                 device.id, action.slice);
      if (on_hung_) on_hung_(device.id, action.slice);
      return;
  }
}

void Arbitration::revoke(GovernedDevice& device, core::SliceId slice, uint64_t now_ns) {
  weigh(device, slice, now_ns);
  device.contenders.revoke(slice, now_ns);
}

/// Whether workers could be frozen before, and can now.
void Arbitration::note_guard(GovernedDevice& device, bool was_freezable) {
  if (device.contenders.freezable() == was_freezable) return;
  if (was_freezable) log_.error("{}: the guardian is gone; nothing is frozen until there is another one", device.id);
  tell_pieces(device);
}

Arbitration::GovernedDevice& Arbitration::device_of(const DeviceUse& use, uint64_t now_ns) {
  const std::string& key = keys_[use.id] = use.freezable ? kProcessors : use.id;
  auto& device = devices_[key];
  if (device == nullptr) {
    core::Arbiter::Options options;
    options.freezable = use.freezable && options_.freeze;
    options.hints = options_.hints;
    device = std::make_unique<GovernedDevice>(use.id, options, guardian_, now_ns);
    (void)device->arbiter.set_policy(now_ns, policy_);  // checked at the start
  }
  return *device;
}

Arbitration::GovernedDevice* Arbitration::find_device(const std::string& id) {
  auto key = keys_.find(id);
  return key == keys_.end() ? nullptr : devices_.at(key->second).get();
}

void Arbitration::tell_pieces(GovernedDevice& device) const {
  bool cut = options_.split == Split::kAlways ||
             (options_.split == Split::kShared && !device.contenders.freezable() && device.governed.size() > 1);
  const std::vector<core::Holding> holdings = device.arbiter.holdings();
  core::Priority most_urgent = core::Priority::kIdle;
  for (const core::Holding& holding : holdings) most_urgent = std::min(most_urgent, holding.terms.priority);
  const uint32_t whole_us = cut ? options_.piece_us : 0, part_us = (whole_us + kUrgentPart - 1) / kUrgentPart;
  for (const core::Holding& holding : holdings) {
    const bool is_behind = holding.terms.priority > most_urgent && !device.contenders.freezable();
    for (Contender& contender : device.contenders)
      for (uint32_t index : contender.indices)
        if (contender.slice == holding.slice)
          contender.grants->devices[index].piece_us.store(is_behind ? part_us : whole_us, std::memory_order_relaxed);
  }
}

Result<void> Arbitration::add_contender(GovernedDevice& device, const Member& member, std::vector<uint32_t> indices,
                                        const std::shared_ptr<uint32_t>& held, uint64_t now_ns) {
  Governed& governed = device.governed[member.slice];
  if (governed.contenders == 0) {
    auto add = [&] { return device.arbiter.add_slice(now_ns, member.slice, member.slice_name, member.terms); };
    if (auto added = device.goals.admit(now_ns, device.arbiter, member.slice, member.terms, add); !added) {
      device.governed.erase(member.slice);
      return fail(std::move(added.error()).within(device.id));
    }
  }
  ++governed.contenders;
  const bool holds = device.arbiter.holder() == member.slice && !device.parked;
  Contender contender{.session = member.session,
                      .slice = member.slice,
                      .indices = std::move(indices),
                      .counters = member.counters,
                      .grants = member.grants,
                      .pid = member.pid,
                      .pidfd = member.pidfd,
                      .worker = member.worker,
                      .held = held};
  contender.threads = member.threads;
  if (device.contenders.freezable()) contender.meter = Meter(member.pid, member.session, &*alarms_);
  device.contenders.add(std::move(contender), holds, now_ns);
  tell_pieces(device);
  return {};
}

Result<void> Arbitration::add(const Member& member) {
  {
    std::lock_guard lock(mutex_);
    const uint64_t now = protocol::monotonic_ns();
    auto held = std::make_shared<uint32_t>(0);
    std::map<GovernedDevice*, std::vector<uint32_t>> uses;
    for (uint32_t index = 0; index < member.devices.size(); ++index)
      uses[&device_of(member.devices[index], now)].push_back(index);
    for (auto& [device, indices] : uses) {
      auto added = add_contender(*device, member, std::move(indices), held, now);
      if (added) continue;
      remove_locked(member.session, now);
      return added;
    }
    auto heard = voices_.listen(member.bell, member.session, false);
    // Who knocks for one of several devices does not say for which.
    if (heard && uses.size() == 1) heard = voices_.listen(member.knock, member.session, true);
    if (!heard) {
      remove_locked(member.session, now);
      return heard;
    }
  }
  poke();
  return {};
}

void Arbitration::note_children(uint64_t session, uint64_t count, uint64_t ran_ns) {
  {
    std::lock_guard lock(mutex_);
    const uint64_t now = protocol::monotonic_ns();
    for (auto& [id, device] : devices_) {
      device->contenders.note_children(session, count, ran_ns);
      if (core::SliceId slice = device->contenders.slice_of(session)) weigh(*device, slice, now);
    }
  }
  poke();
}

void Arbitration::remove(uint64_t session) {
  {
    std::lock_guard lock(mutex_);
    remove_locked(session, protocol::monotonic_ns());
  }
  poke();
}

void Arbitration::remove_locked(uint64_t session, uint64_t now_ns) {
  for (auto& [id, device] : devices_) {
    for (Contender& contender : device->contenders) {
      if (contender.session != session) continue;
      Contenders::thaw(contender, now_ns);
      if (auto governed = device->governed.find(contender.slice);
          governed != device->governed.end() && --governed->second.contenders == 0) {
        device->arbiter.remove_slice(now_ns, contender.slice);
        device->goals.forget(contender.slice);
        device->governed.erase(governed);
      }
    }
    if (device->contenders.erase(session)) tell_pieces(*device);
  }
  voices_.forget(session);
}

void Arbitration::release(uint64_t session) {
  {
    std::lock_guard lock(mutex_);
    uint64_t now = protocol::monotonic_ns();
    for (auto& [id, device] : devices_)
      for (Contender& contender : device->contenders)
        if (contender.session == session) Contenders::let_go(contender, now);
  }
  poke();
}

Result<void> Arbitration::set_terms(core::SliceId slice, const core::Terms& terms) {
  {
    std::lock_guard lock(mutex_);
    uint64_t now = protocol::monotonic_ns();
    for (auto& [id, device] : devices_) {
      if (!device->governed.contains(slice)) continue;
      auto held = device->goals.as_asked(device->arbiter.holdings());
      if (auto fits = core::admit(held, {slice, "", terms}); !fits) return fail(std::move(fits.error()).within(id));
    }
    for (auto& [id, device] : devices_) {
      if (!device->governed.contains(slice)) continue;
      auto set = [&] { return device->arbiter.set_terms(now, slice, terms); };
      AMALGAM_TRY(device->goals.admit(now, device->arbiter, slice, terms, set), id);
      tell_pieces(*device);
    }
  }
  poke();
  return {};
}

Result<void> Arbitration::set_policy(const std::string& name) {
  {
    std::lock_guard lock(mutex_);
    if (auto known = core::find_policy(name); !known) return fail(std::move(known.error()));
    policy_ = name;
    for (auto& [id, device] : devices_) AMALGAM_TRY(device->arbiter.set_policy(protocol::monotonic_ns(), name), id);
  }
  poke();
  return {};
}

Arbitration::Account Arbitration::account_of(GovernedDevice& device, core::SliceId slice, uint64_t now_ns) {
  Account account;
  account.device = device.id;
  account.totals = *device.arbiter.totals(now_ns, slice);
  account.policy = device.arbiter.policy();
  account.goal = device.goals.text(slice);
  account.last_decision = device.arbiter.history().count();
  account.now_ns = now_ns;
  account.holder = device.arbiter.holder();
  account.vacated_ns = device.arbiter.vacated_ns();
  account.vacated_why = device.arbiter.vacated_why();
  for (const core::Holding& holding : device.arbiter.holdings())
    if (holding.slice == slice) account.terms = holding.terms;
  return account;
}

Result<Arbitration::Account> Arbitration::account(core::SliceId slice, const std::string& device, uint64_t after,
                                                  uint64_t most) {
  std::lock_guard lock(mutex_);
  GovernedDevice* found = find_device(device);
  if (found == nullptr || !found->governed.contains(slice))
    return fail(Code::kNotFound, "slice " + std::to_string(slice) + " is not governed on " + device);
  uint64_t now = protocol::monotonic_ns();
  // A holder that runs alone was looked at some time ago; what it rested since then is not to be shown as run.
  weigh(*found, slice, now);
  observe(*found, slice, now);
  Account account = account_of(*found, slice, now);
  account.device = device;
  account.decisions = found->arbiter.history().since(after, most);
  return account;
}

std::vector<Arbitration::Account> Arbitration::accounts(core::SliceId slice) {
  std::lock_guard lock(mutex_);
  std::vector<Account> found;
  uint64_t now = protocol::monotonic_ns();
  for (auto& [id, device] : devices_) {
    if (!device->governed.contains(slice)) continue;
    weigh(*device, slice, now);
    observe(*device, slice, now);
    found.push_back(account_of(*device, slice, now));
  }
  return found;
}

}  // namespace amalgam::daemon
