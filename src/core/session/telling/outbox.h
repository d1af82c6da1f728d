// SPDX-License-Identifier: Apache-2.0
// Outbox: everything that goes back to the client, in order, from any thread.
//
//   post() ─▶ completion ring, if nothing waits and there is room;  else ─▶ overflow queue ─ flush() ─▶ ring
//
// A client that does not read must not block a driver's thread, so what does not fit is queued. The queue is bounded by its
// sources: commands in flight, and the dispatcher, which takes no further command while the queue is congested. Somebody has
// to flush when the client has made room, which the client does not announce: the dispatcher and the control thread do, by
// the clock, as long as congested() says so.
//
// What a client must not hear twice is written into the session's journal just before it goes to the ring, if that keeps a
// log: whoever reads the log knows by the ring how much of it has gone.
//
// Threads: any. Blocking: never. post() does not wake the client: call wake() after the last of a batch.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "core/session/recipe/journal.h"
#include "protocol/link/ring.h"
#include "protocol/waist/completions.h"

namespace amalgam::core {

class Outbox {
 public:
  /// `on_congested` is called (on the posting thread, no lock held) when the queue stops being empty.
  Outbox(protocol::RingProducer ring, Journal& journal, std::function<void()> on_congested)
      : ring_(std::move(ring)), journal_(journal), on_congested_(std::move(on_congested)) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  /// Queues one completion. `variable_bytes`: sum of its variable-size fields.
  template <typename M>
  void post(const M& message, uint32_t call = 0, size_t variable_bytes = 0) {
    constexpr size_t kFixedBytes = 128;
    bool newly = false;
    {
      std::lock_guard lock(mutex_);
      if (held_ || !waiting_.empty() || !produce(message, call, kFixedBytes + variable_bytes)) {
        newly = waiting_.empty() && !held_;
        queue(call, message, kFixedBytes + variable_bytes);
      }
    }
    fresh_.store(true, std::memory_order_release);
    if (newly) on_congested_();
  }
  /// Wakes the client if it sleeps and something was posted since the last time: most commands end without a message, and a
  /// client that is woken for nothing costs two switches a command.
  void wake() {
    if (!fresh_.load(std::memory_order_relaxed) || !fresh_.exchange(false, std::memory_order_acq_rel)) return;
    if (ring_.wake()) has_woken_.store(true, std::memory_order_relaxed);
  }
  /// True if something was posted since the last wake().
  bool has_news() const { return fresh_.load(std::memory_order_relaxed); }
  /// True if the client slept and was woken since the last call: it waits for what it asked for.
  bool has_woken() {
    return has_woken_.load(std::memory_order_relaxed) && has_woken_.exchange(false, std::memory_order_relaxed);
  }
  /// Another producer has written to the ring so far. Nothing has been posted yet.
  void begin(protocol::RingProducer ring) {
    std::lock_guard lock(mutex_);
    ring_ = std::move(ring);
  }
  /// Moves what waits to the ring as far as there is room, and wakes the client. True if nothing waits any more.
  bool flush();
  /// From now on nothing goes to the ring, until release(): it may be another worker's. False, and nothing is held:
  /// something waits for room.
  bool hold() {
    std::lock_guard lock(mutex_);
    held_ = waiting_.empty();
    return held_;
  }
  /// It is ours after all.
  void release() {
    {
      std::lock_guard lock(mutex_);
      held_ = false;
    }
    (void)flush();
  }
  /// True while something waits for room.
  bool congested() const { return congested_.load(std::memory_order_acquire); }
  /// The client's index was a lie: the session must end.
  bool broken();
  size_t waiting();

 private:
  struct Waiting {
    uint32_t call;
    Told told;
    std::vector<std::byte> payload;
  };
  /// What there is to be noted of a message: what a client must hear once only, and what it may act upon. Key 0: nothing.
  template <typename M>
  static Told told_by(const M& message, uint32_t call) {
    Told told{M::kType, 0, 0, 0};
    if constexpr (std::is_same_v<M, protocol::Reply>) told.key = call;
    if constexpr (std::is_same_v<M, protocol::GateReady>) told.key = message.event;
    if constexpr (std::is_same_v<M, protocol::Output>) told.key = message.text.size();
    if constexpr (std::is_same_v<M, protocol::EventDone> || std::is_same_v<M, protocol::StreamRetired>) {
      told.number = message.number;
      told.key = message.number == 0 ? 0 : message.stream;
    }
    return told;
  }
  template <typename M>
  bool produce(const M& message, uint32_t call, size_t bound) {
    std::span<std::byte> room = ring_.reserve(bound);
    if (room.empty()) return false;
    commit(call, told_by(message, call), protocol::encode(message, room));
    return true;
  }
  void commit(uint32_t call, Told told, size_t bytes) {
    told.head = ring_.head_after(bytes);
    if (told.key != 0 && journal_.logs()) journal_.told(told);
    ring_.commit(static_cast<uint16_t>(told.type), call, bytes);
  }
  template <typename M>
  void queue(uint32_t call, const M& message, size_t bound) {
    std::vector<std::byte> payload(bound);
    payload.resize(protocol::encode(message, payload));
    waiting_.push_back({call, told_by(message, call), std::move(payload)});
    congested_.store(true, std::memory_order_release);
  }
  std::mutex mutex_;
  protocol::RingProducer ring_;
  Journal& journal_;
  std::deque<Waiting> waiting_;
  bool held_ = false;
  std::atomic<bool> congested_{false};
  std::atomic<bool> fresh_{false};
  std::atomic<bool> has_woken_{false};
  std::function<void()> on_congested_;
};

}  // namespace amalgam::core
