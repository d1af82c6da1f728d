// SPDX-License-Identifier: Apache-2.0
#include "core/session/turns/turnstile.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "protocol/link/ring.h"

namespace amalgam::core {
namespace {

constexpr uint64_t kLookAgainNs = 100'000'000;  // a daemon that dies silently takes nobody's turn for ever

}  // namespace

void Turnstile::leave(uint32_t device) {
  if (grants_ == nullptr || device >= model::kMaxSessionDevices) return;
  model::Counters::Claim& claim = counters_.claims[device];
  // Before the count falls: whoever sees 0 also sees since when.
  claim.idle_since_ns.store(protocol::monotonic_ns(), std::memory_order_relaxed);
  bool last = claim.in_flight.fetch_sub(1, std::memory_order_seq_cst) == 1;
  // The arbiter waits for the end of revoked work.
  if (last && grants_->devices[device].granted.load(std::memory_order_seq_cst) == 0 && is_governed()) ring();
}

void Turnstile::wait(uint32_t device, const std::atomic<uint32_t>& interrupt) {
  auto* word = const_cast<std::atomic<uint32_t>*>(&grants_->devices[device].granted);  // only slept on
  if (asked_ != device) want_nothing();
  asked_ = device;
  waiting_.store(device, std::memory_order_seq_cst);
  counters_.claims[device].wanting.store(1, std::memory_order_seq_cst);
  ring();
  while (!may_go(device) && interrupt.load(std::memory_order_seq_cst) == 0) {
    protocol::futex_wait(word, 0, kLookAgainNs);
    // Rung again: a bell may have been heard by a daemon that is no more.
    if (!may_go(device)) ring();
  }
  waiting_.store(UINT32_MAX, std::memory_order_seq_cst);
}

void Turnstile::take_over() {
  for (uint32_t device = 0; device < model::kMaxSessionDevices; ++device) {
    counters_.claims[device].in_flight.store(0, std::memory_order_seq_cst);
    if (grants_ != nullptr)
      frozen_seen_ns_[device].store(grants_->devices[device].frozen_ns.load(std::memory_order_acquire));
  }
  want_nothing();
}

void Turnstile::want_nothing() {
  if (asked_ == UINT32_MAX) return;
  counters_.claims[std::exchange(asked_, UINT32_MAX)].wanting.store(0, std::memory_order_seq_cst);
}

void Turnstile::wake() {
  uint32_t device = waiting_.load(std::memory_order_seq_cst);
  if (device == UINT32_MAX) return;
  protocol::futex_wake_all(const_cast<std::atomic<uint32_t>*>(&grants_->devices[device].granted));
}

void Turnstile::set_free(bool free) {
  free_.store(free, std::memory_order_relaxed);
  if (free) wake();
}

uint64_t Turnstile::without_frozen(uint32_t device, uint64_t ran_ns) {
  if (grants_ == nullptr || device >= model::kMaxSessionDevices) return ran_ns;
  uint64_t frozen = grants_->devices[device].frozen_ns.load(std::memory_order_relaxed);
  uint64_t seen = frozen_seen_ns_[device].exchange(frozen, std::memory_order_relaxed);
  return ran_ns - std::min(ran_ns, frozen - std::min(frozen, seen));
}

uint64_t Turnstile::frozen_ns() const {
  if (grants_ == nullptr) return 0;
  uint64_t sum = 0;
  for (const auto& device : grants_->devices) sum += device.frozen_ns.load(std::memory_order_relaxed);
  return sum;
}

void Turnstile::ring() const {
  if (bell_fd_ < 0) return;
  uint64_t one = 1;
  (void)!::write(bell_fd_, &one, sizeof one);
}

}  // namespace amalgam::core
