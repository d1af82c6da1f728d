// SPDX-License-Identifier: Apache-2.0
// Event: the client's record of one asynchronous command; a front door's event handle derives from it.
//
// Reference counted: the program's references, one while the worker still owes an EventDone, one for every callback that
// waits. Status only falls: 3 queued, 2 submitted, 1 running, 0 complete, negative an error.
//
// Threads: status is atomic and may be read anywhere; what is written before the final status (times) is visible after it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "north/client/ids.h"
#include "north/client/order.h"
#include "protocol/waist/completions.h"

namespace amalgam::client {

class Gates;
class Session;

inline constexpr int32_t kQueued = 3, kSubmitted = 2, kRunning = 1, kComplete = 0;

class Event : public Tracked {
 public:
  /// `destroy` deletes the whole handle that this record is part of.
  using Destroy = void (*)(Event*);
  Event(Session* session, Destroy destroy) : Tracked(TrackedKind::kEvent), session_(session), destroy_(destroy) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  int32_t status() const { return status_.load(std::memory_order_acquire); }
  bool done() const { return status() <= kComplete; }
  /// The id on the waist; 0 if the worker never heard of it (made and completed by the client itself).
  protocol::ObjectId id() const { return id_; }
  const protocol::Timestamps& times() const { return times_; }
  Session* session() const { return session_; }

  void retain() { holds_.fetch_add(1, std::memory_order_relaxed); }
  /// Deletes at zero. Sends Release to the worker then if it knows the event.
  void release();

  /// Calls `reached(status)` on the service thread once the status is `at` or below; at once queued there if it already is.
  void when(int32_t at, std::function<void(int32_t)> reached);

  /// Sets a status of the event's own making (user events, local commands). Falls only, and once final stays: false then.
  bool settle(int32_t status, const protocol::Timestamps& times);
  /// Times of work that this process does itself, for a later settle() that brings none. Before the final status only.
  void note_times(const protocol::Timestamps& times) { times_ = times; }
  /// Gives the event an id on the waist; it is owed no EventDone yet. False at the bound of objects.
  bool adopt_id();
  /// The same for an event that only the program ends; until then it is a source (order.h).
  bool adopt_id_as_user();
  /// Its command is work of this process that has not run, or runs (gates.h): nobody may end it yet.
  bool gated() const { return gated_.load(); }

 protected:
  friend class Gates;
  friend class Session;
  struct Callback {
    int32_t at;
    std::function<void(int32_t)> reached;
  };
  ~Event() = default;
  void end_user();
  Session* session_;
  Destroy destroy_;
  protocol::ObjectId id_ = 0;
  Place place_;                    ///< of its command; constant once it is owed
  std::atomic<bool> owed_{false};  ///< the worker still owes an EventDone, and the session holds a reference
  std::atomic<bool> user_{false};  ///< only the program ends it, and it has not
  std::atomic<bool> gated_{false};
  std::atomic<int32_t> status_{kQueued};
  std::atomic<uint32_t> holds_{1};
  protocol::Timestamps times_;
  std::mutex callbacks_mutex_;
  std::vector<Callback> callbacks_;
};

}  // namespace amalgam::client
