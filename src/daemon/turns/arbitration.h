// SPDX-License-Identifier: Apache-2.0
// Arbitration: binds one core::Arbiter a device to the sessions that want it.
//
//   worker ─ bell, claims (Counters) ─▶ look ─▶ Arbiter::observe ─▶ step ─▶ Contenders (grants, signals) ─▶ worker
//                                         ▲                           │
//                                         └──── timer, poll ──────────┘
//
// Theory. A worker rings when it wants a device that it may not use, and when the last of its revoked work has ended; it
// does not ring while it runs. So what the holder does is looked at by the clock: after kPollNs while somebody else wants
// the device (this is how soon an idle holder is found), less often while it is found busy, since each look takes the
// processor from somebody, and as soon as a gap is too long to be one; every kCalmPollNs while it runs alone, never while it
// rests. A holder that rests for kParkAfterNs is *parked*: its grant is taken away without a decision, and the bell brings
// it back. An idle machine therefore has no wake-ups, and a program alone pays one bell after a rest.
//
// Programs knock (contenders.h). Who knocks for nothing is not listened to for kDeafNs, and no bell may ring as often as it
// likes (voices.h): this thread has a real-time class, and must not run whenever somebody wants it to.
//
// Time. A slice is charged what it held the device for, as it says, and at least what the kernel counted for its workers and
// their helpers, divided by the processors (weigh()), each turn for itself: what a worker takes back of its charge by
// calling itself idle, it is charged again if it ran. All devices that are the processors are one here: a slice has one turn
// on them, one share and one cap, however many drivers show them. A small part of the time (kFreePart) is not charged to
// who has no turn: messages have to be read.
//
// Goals. While launches run, the latencies that workers count are looked at once a second, and the shares of slices with a
// latency goal follow (core/sched/goals.h). A worker that counts wrongly moves its own share, within what admission leaves.
//
// Pieces. Where workers are not frozen, launches are cut while more than one slice could want the device, so that what runs
// runs out soon. A slice that has the device for itself pays nothing for it; one that a more urgent slice may interrupt is
// cut into pieces of half the length, since two of them run out first.
//
// Threads: one of its own, for all devices; every method may be called from any other. Lifetime: a session's pages, pidfd,
// bell, knock and channel must stay until remove() has returned.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/pi_mutex.h"
#include "base/unique_fd.h"
#include "core/sched/arbiter.h"
#include "core/sched/goals.h"
#include "daemon/config/config.h"
#include "daemon/host/logger.h"
#include "daemon/turns/contenders.h"
#include "daemon/turns/voices.h"

namespace amalgam::daemon {

class Arbitration {
 public:
  struct Options {
    std::string policy = "fair";
    core::Hints hints;
    bool freeze = true;
    Split split = Split::kShared;
    uint32_t piece_us = 0;  ///< what long launches are cut into, where they are; 0: not at all
  };
  struct DeviceUse {
    std::string id;
    bool freezable = false;  ///< it is the processors
  };
  struct Member {
    uint64_t session = 0;
    core::SliceId slice = 0;
    std::string slice_name;
    core::Terms terms;
    std::vector<DeviceUse> devices;  ///< in the session's own order
    std::map<pid_t, pid_t> threads;  ///< the worker's numbers for its threads, and ours
    const model::Counters* counters = nullptr;
    model::Grants* grants = nullptr;
    pid_t pid = 0;  ///< of the worker
    int pidfd = -1;
    int bell = -1, knock = -1;
    const protocol::Channel* worker = nullptr;  ///< to tell it where its driver's threads may run
  };

  /// Called in the arbiters' thread: this session's worker runs although it is stopped.
  using OnEscape = std::function<void(uint64_t session)>;

  /// The same: this slice was asked to leave the device, and does not.
  using OnHung = std::function<void(const std::string& device, core::SliceId slice)>;

  static Result<std::unique_ptr<Arbitration>> start(Options options, Guardian& guardian, Logger& log,
                                                    OnEscape on_escape = {}, OnHung on_hung = {});
  ~Arbitration();
  Arbitration(const Arbitration&) = delete;
  Arbitration& operator=(const Arbitration&) = delete;

  /// The session's worker serves commands from now on. An error: an arbiter refuses its slice, and it has no turns anywhere.
  Result<void> add(const Member& member);
  /// Thaws it, and forgets it.
  void remove(uint64_t session);
  /// Lets the session run whatever the arbiter thinks, because it is to end.
  void release(uint64_t session);
  /// A session's worker has so many helper processes, which have run for `ran_ns` since the last call.
  void note_children(uint64_t session, uint64_t count, uint64_t ran_ns);
  /// On every device of the slice, or on none.
  Result<void> set_terms(core::SliceId slice, const core::Terms& terms);
  Result<void> set_policy(const std::string& name);

  /// A slice on one device: its totals, and the device's decisions.
  struct Account {
    std::string device;
    core::Totals totals;
    core::Terms terms;
    std::string policy;
    std::string goal;                     ///< how the slice's latency goal is kept, in words; empty without one
    std::vector<core::Record> decisions;  ///< the oldest first; the last is number last_decision, if there is one
    uint64_t last_decision = 0;
    uint64_t now_ns = 0;
    core::SliceId holder = 0;
    uint64_t vacated_ns = 0;                   ///< when the last one stopped, where nobody holds it
    core::End vacated_why = core::End::kNone;  ///< why that one did
  };
  /// With the decisions after number `after`, at most the `most` newest. kNotFound: the arbiter does not know the slice
  /// there.
  Result<Account> account(core::SliceId slice, const std::string& device, uint64_t after, uint64_t most);
  /// On every device that the slice is governed on, without decisions; the processors are one, named by the first of them.
  std::vector<Account> accounts(core::SliceId slice);

 private:
  struct Governed {
    uint32_t contenders = 0;
    uint64_t charged_ns = 0;  ///< as the arbiter has it, when it was weighed last
    int64_t ahead_ns = 0;     ///< what it was charged in this turn beyond what was counted
    Margin free{kFreePart, kFreeNs};
  };
  static constexpr uint64_t kFreePart = 400, kFreeNs = 1'000'000;
  struct GovernedDevice {
    GovernedDevice(const std::string& device_id, const core::Arbiter::Options& options, const Guardian& guardian,
                   uint64_t now_ns)
        : id(device_id), contenders(options.freezable, guardian), arbiter(options, now_ns) {}
    std::string id;  ///< of the first device, if they are several
    Contenders contenders;
    core::Arbiter arbiter;
    core::Goals goals;
    uint64_t goals_due_ns = 0;
    std::map<core::SliceId, Governed> governed;  ///< slices that the arbiter knows
    bool parked = false;                         ///< the holder rests, its grant is taken away
    uint32_t patience = 0;                       ///< how often in a row it was found busy
    uint64_t look_ns = 0;                        ///< then: when it is looked at again
    uint64_t wake_ns = UINT64_MAX;
  };

  Arbitration(Options options, Guardian& guardian, Logger& log, OnEscape on_escape, OnHung on_hung)
      : options_(std::move(options)), guardian_(guardian), log_(log), on_escape_(std::move(on_escape)),
        on_hung_(std::move(on_hung)) {}
  Result<void> prepare();
  void run();
  void poke() const;
  void hear(int fd, uint64_t now_ns);
  void weigh(GovernedDevice& device, core::SliceId slice, uint64_t now_ns);
  void begin_count(GovernedDevice& device, core::SliceId slice, uint64_t now_ns);
  void note_guard(GovernedDevice& device, bool was_freezable);
  void attend(GovernedDevice& device, uint64_t now_ns);
  Contenders::Sight observe(GovernedDevice& device, core::SliceId slice, uint64_t now_ns);
  bool came_back(GovernedDevice& device, const core::Arbiter::Step& step, uint64_t now_ns);
  static Account account_of(GovernedDevice& device, core::SliceId slice, uint64_t now_ns);
  static uint64_t processors();
  static uint64_t short_gap_ns(const GovernedDevice& device, core::SliceId slice);
  static Contenders::Sight look(const GovernedDevice& device, core::SliceId slice, uint64_t now_ns);
  void carry_out(GovernedDevice& device, const core::Arbiter::Action& action, uint64_t now_ns);
  void revoke(GovernedDevice& device, core::SliceId slice, uint64_t now_ns);
  static void weigh_goals(GovernedDevice& device, uint64_t now_ns);
  static uint64_t next_look(GovernedDevice& device, uint64_t now_ns);
  uint64_t plan(GovernedDevice& device, const core::Arbiter::Step& step, size_t wanting, uint64_t now_ns);
  GovernedDevice& device_of(const DeviceUse& use, uint64_t now_ns);
  void tell_pieces(GovernedDevice& device) const;
  Result<void> add_contender(GovernedDevice& device, const Member& member, std::vector<uint32_t> indices,
                             const std::shared_ptr<uint32_t>& held, uint64_t now_ns);
  GovernedDevice* find_device(const std::string& id);
  void remove_locked(uint64_t session, uint64_t now_ns);

  const Options options_;
  Guardian& guardian_;
  Logger& log_;
  const OnEscape on_escape_;
  const OnHung on_hung_;
  const uint64_t processors_ = processors();
  UniqueFd epoll_, timer_, wake_;
  std::optional<Alarms> alarms_;                                    ///< set before anybody else knows us
  PiMutex mutex_;                                                   ///< guards what follows
  std::map<std::string, std::unique_ptr<GovernedDevice>> devices_;  ///< by id; all that are the processors by kProcessors
  std::map<std::string, std::string> keys_;                         ///< of devices_, by a device's id
  Voices voices_;
  std::string policy_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace amalgam::daemon
