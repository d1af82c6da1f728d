// SPDX-License-Identifier: Apache-2.0
// Gates: the client's own work inside streams: copies between the program's memory and shared regions, native kernels.
//
//   add ─▶ waiting ── GateReady ──▶ ready ── service thread ──▶ running ──▶ ended, SignalEvent
//             └── a wait failed, refused, never sent ─┴── the session died ──▶ gone, and never run
//
// The work reads and writes memory that is the program's own again as soon as it has heard that the gate's event has ended.
// So that event must not end while the work may still run, whatever the worker says and whenever it dies: from add() until
// its gate has left the table the event is `gated`, and nobody but this side ends it. The gate holds its event, and so the
// queue and the context that the work names.
//
// Threads: every method locks; none runs work, drops it or lets an event go with the lock held.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <new>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "north/client/event.h"

namespace amalgam::client {

/// One gate: its work, and a hold on its event. Movable; when it goes, the work goes first.
class Gate {
 public:
  using Work = std::function<int32_t()>;  ///< returns the gate's status
  Gate() = default;
  Gate(Event& event, Work work) : event_(&event), work_(std::move(work)) { event_->retain(); }
  Gate(Gate&& other) noexcept : event_(std::exchange(other.event_, nullptr)), work_(std::exchange(other.work_, nullptr)) {}
  Gate& operator=(Gate&&) = delete;
  ~Gate() {
    work_ = nullptr;
    if (event_ != nullptr) event_->release();
  }
  explicit operator bool() const { return event_ != nullptr; }

 private:
  friend class Gates;
  Event* event_ = nullptr;
  Work work_;
};

class Gates {
 public:
  /// A new gate waits. The event has its id and place, and no EventDone is owed for it yet. False if the session has died.
  bool add(Event& event, Gate::Work work);
  /// The worker says that its turn has come. False if no gate of that id waits, or not for that.
  template <typename Look>
  bool make_ready(protocol::ObjectId id, Look look) {
    std::lock_guard lock(mutex_);
    Entry* entry = find(id, State::kWaits);
    if (entry == nullptr || !order_.is_clear(entry->gate.event_->place_, look)) return false;
    entry->state = State::kReady;
    return true;
  }
  /// The work of a gate that is ready, which runs from now on; null if the session has died in between.
  Gate::Work* begin(protocol::ObjectId id);
  /// The work has returned.
  Gate end(protocol::ObjectId id);
  /// Takes out a gate that will not run; none if no gate of that id waits.
  Gate take_waiting(protocol::ObjectId id);
  /// The session has died: takes out all that do not run; no other will.
  std::vector<Gate> close();

  /// A user event is pending, or has ended or gone.
  void add_user();
  void end_user();
  /// User events that are pending: the program may be what everything waits for.
  uint64_t pending_users() const { return users_.load(std::memory_order_acquire); }
  /// Whether anything is pending that only this process ends; else all may end.
  bool any_source() const { return sources_.load(std::memory_order_acquire) != 0; }
  /// Notes what a command that is about to be sent waits for.
  void note(const Place& place, std::span<const protocol::ObjectId> waits, protocol::ObjectId barrier);
  /// Whether this command, or all of a stream up to a number, may have ended as far as we know.
  template <typename Look>
  bool may_have_ended(const Place& place, Look look) {
    if (!any_source()) return true;
    std::lock_guard lock(mutex_);
    return order_.is_clear(place, look);
  }
  template <typename Look>
  bool may_have_retired(protocol::ObjectId stream, uint64_t number, Look look) {
    if (!any_source()) return true;
    std::lock_guard lock(mutex_);
    return order_.is_clear_through(stream, number, look);
  }

  /// How many run now.
  uint32_t running() const { return running_.load(std::memory_order_acquire); }
  /// In a forked child: whoever held the lock, or ran, is not there.
  void after_fork();

 private:
  enum class State : uint8_t { kWaits, kReady, kRuns };
  struct Entry {
    Gate gate;
    State state = State::kWaits;
  };
  using Table = std::unordered_map<protocol::ObjectId, Entry>;

  Entry* find(protocol::ObjectId id, State state);
  Gate take(Table::iterator entry);
  void drop_source();

  std::mutex mutex_;
  bool closed_ = false;
  Table table_;
  Order order_;
  std::atomic<uint64_t> users_{0};    ///< user events among the sources
  std::atomic<uint64_t> sources_{0};  ///< gates in the table and user events that are pending; changed under the lock
  std::atomic<uint32_t> running_{0};
};

}  // namespace amalgam::client
