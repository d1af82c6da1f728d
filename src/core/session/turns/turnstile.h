// SPDX-License-Identifier: Apache-2.0
// Turnstile: lets a session's commands through to a device while the arbiter grants it, and holds them back otherwise.
//
//   enter() ─ granted ─▶ driver ─ completion ─▶ leave()
//      └─ not granted: `wanting` is raised, the bell rings, the dispatcher waits on the word (wait())
//
// Theory. The arbiter is another process, and most of the time nobody else wants the device; then a command costs one
// addition to a counter of our own and one look at a word that does not change. Counting first and looking second, where the
// arbiter takes the word away first and looks at the count second, means that one of the two always sees the other.
//
// A session whose daemon is gone is governed by nobody and goes on: set_free(). Without a page (tests) it is always free.
//
// Threads: enter(), wait() and want_nothing() are the dispatcher's; leave() any; set_free() and wake() any.
#pragma once

#include <atomic>
#include <cstdint>

#include "model/counters.h"
#include "model/grants.h"

namespace amalgam::core {

class Turnstile {
 public:
  /// `grants` may be null, `bell_fd` (an eventfd of the arbiter's) -1. Both and `counters` outlive this.
  Turnstile(const model::Grants* grants, model::Counters& counters, int bell_fd)
      : grants_(grants), counters_(counters), bell_fd_(bell_fd) {}

  /// True: the command counts as in flight and may go. False: it must wait(), and then try again.
  bool enter(uint32_t device) {
    if (grants_ == nullptr || device >= model::kMaxSessionDevices) return true;
    counters_.claims[device].in_flight.fetch_add(1, std::memory_order_seq_cst);
    if (may_go(device)) [[likely]] {
      if (asked_ == device) [[unlikely]]
        want_nothing();
      return true;
    }
    counters_.claims[device].in_flight.fetch_sub(1, std::memory_order_seq_cst);
    return false;
  }
  /// The command has ended, or never went.
  void leave(uint32_t device);
  /// Another worker has used the devices until now; nothing of it is in flight any more.
  void take_over();
  /// Asks for a grant and sleeps until there may be one or `*interrupt` is not 0. The session wants the device from then on,
  /// until a command of it counts as in flight or want_nothing(): an arbiter that sees neither takes it for idle.
  void wait(uint32_t device, const std::atomic<uint32_t>& interrupt);
  /// There is nothing to do, for no device.
  void want_nothing();
  /// Whoever waits looks again.
  void wake();
  /// Nobody governs this session any more, or somebody does again.
  void set_free(bool free);

  /// How long the worker has been stopped with commands in flight so far, of all devices.
  uint64_t frozen_ns() const;
  /// Of `ran_ns`, which a command says it took, what was not spent frozen. Frozen time is taken off once, from the command
  /// that ends first after it: that is the one which was running.
  uint64_t without_frozen(uint32_t device, uint64_t ran_ns);

 private:
  bool may_go(uint32_t device) const {
    return grants_->devices[device].granted.load(std::memory_order_seq_cst) != 0 || free_.load(std::memory_order_relaxed);
  }
  bool is_governed() const { return !free_.load(std::memory_order_relaxed); }
  void ring() const;

  const model::Grants* const grants_;
  model::Counters& counters_;
  const int bell_fd_;
  std::atomic<bool> free_{false};
  uint32_t asked_ = UINT32_MAX;                ///< device that is wanted
  std::atomic<uint32_t> waiting_{UINT32_MAX};  ///< device that the dispatcher waits for
  std::atomic<uint64_t> frozen_seen_ns_[model::kMaxSessionDevices] = {};
};

}  // namespace amalgam::core
