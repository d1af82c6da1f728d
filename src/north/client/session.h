// SPDX-License-Identifier: Apache-2.0
// Session: one open session of this process: the rings, the heap, and everything that comes back.
//
//   front door ─ post()/call() ─▶ command ring ─▶ worker ─▶ completion ring ─▶ whoever waits drains for all
//
// One thread at a time drains (the leader); others that wait sleep until the leader has made progress. A service thread is
// started by the first thing that needs one (an event callback, a pending gate): it drains when nobody else waits, and runs
// callbacks and gates. A process without those has no thread of ours.
//
// Death: if the worker goes, dead() turns true, every pending event ends with death_status(), every call returns kDeviceLost
// (kOutOfMemory where that is why the daemon ended it).
// In a forked child the session is dead from the start (Runtime resets itself).
//
// Belief: a worker is its tenant's or another's machine code, so all that comes back is checked here, or by whoever knows
// what it must be, who then calls disbelieve(). A lie ends the session as if the worker had been killed. Nothing that a
// worker says makes this process read, write or allocate what the program has not named, end, or wait where it would not
// wait for a slow one.
//
// Threads: every method may be called from any thread unless it says otherwise. No method calls the program's code, except
// on the service thread, and in finish() and wait() what was given to after(); with no lock held. Lifetime: reference
// counted by the front door's contexts; never destroyed while the process lives (its memory may still be mapped by the
// program's pointers).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "model/grants.h"
#include "north/client/afterwards.h"
#include "north/client/descriptors.h"
#include "north/client/event.h"
#include "north/client/gates.h"
#include "north/client/ids.h"
#include "north/client/staging.h"
#include "north/client/stream.h"
#include "protocol/control/channel.h"
#include "protocol/link/open_parts.h"
#include "protocol/link/ring.h"
#include "protocol/waist/waist.h"

namespace amalgam::client {

inline constexpr int32_t kOverMemoryStatus = -4;  ///< if the daemon ended it for that (CL_MEM_OBJECT_ALLOCATION_FAILURE)
inline constexpr int32_t kDeadStatus = -5;        ///< status of events whose session died (CL_OUT_OF_RESOURCES)

/// What a call brought back: the payload, owned.
using Payload = std::vector<std::byte>;

class Session {
 public:
  /// Opens a session on the slice: daemon, worker, memories, Hello. Blocks for as long as the worker takes to start.
  static Result<std::unique_ptr<Session>> open(const protocol::Token& slice);
  /// Of a session that nobody uses: one that could not be opened, or a test's.
  ~Session();

  bool dead() const { return dead_.load(std::memory_order_acquire); }
  /// What calls on a dead session return, which would else return `otherwise`.
  int32_t death_status(int32_t otherwise = kDeadStatus) const {
    const bool over = grants_ != nullptr && grants_->ending.load(std::memory_order_acquire) == model::Ending::kOverMemory;
    return over ? kOverMemoryStatus : otherwise;
  }
  /// Ends the session because of something that no honest worker says; the error for the caller to return.
  std::unexpected<Error> disbelieve(const char* what);
  /// After fork, in the child: nothing of this session may be touched any more.
  /// Locks are made anew: whoever held one is not in this process.
  void abandon();

  /// Device ids ("opencl:0") in the order that OpenDevice.index means.
  const std::vector<std::string>& devices() const { return devices_; }
  IdPool& ids() { return ids_; }
  Gates& gates() { return gates_; }
  Staging& staging() { return staging_; }
  std::byte* heap() const { return heap_; }
  uint64_t heap_bytes() const { return heap_bytes_; }
  bool in_heap(const void* p) const {
    auto at = reinterpret_cast<uintptr_t>(p), base = reinterpret_cast<uintptr_t>(heap_);
    return at >= base && at < base + heap_bytes_;
  }

  /// Sends a command that wants no answer and wakes the worker if it sleeps. False only if the session is dead. Waits while
  /// the ring is full; so it is not for whoever drains, on whom the worker may be waiting.
  template <typename M>
  bool post(const M& message) {
    std::unique_lock lock(send_mutex_);
    return send_locked(message, 0, lock);
  }

  /// When the worker is to hear that an object has gone.
  enum class Release : uint8_t {
    kSoon,   ///< it holds memory, or more
    kAlong,  ///< with the next command, or when there are kMostUnsent of them: an event
  };
  /// The worker will not hear of this object again, nor its id be found. Never waits: objects go wherever the last hold on
  /// them goes, also while a completion is taken.
  void release(protocol::ObjectId id, Release when);

  /// Sends a command and waits for its Reply. The driver's code is in Error::native; a failed call's payload (LinkReply,
  /// StatusListReply) goes to `error_payload` if that is given.
  template <typename M>
  Result<Payload> call(const M& message, Payload* error_payload = nullptr) {
    PendingCall pending;
    if (!begin_call(pending)) return dead_error();
    if (std::unique_lock lock(send_mutex_); !send_locked(message, pending.number, lock)) return end_call(pending);
    wait_until([&] { return pending.done.load(std::memory_order_acquire); });
    return end_call(pending, error_payload);
  }

  /// Sends a command; `done` runs on the service thread when its Reply is there, or the session has died (builds with a
  /// callback).
  template <typename M>
  bool call_later(const M& message, std::function<void(Result<Payload>)> done) {
    auto* pending = new PendingCall;
    pending->later = std::move(done);
    if (!begin_call(*pending)) {
      delete pending;
      return false;
    }
    hold_service();
    std::unique_lock lock(send_mutex_);
    return send_locked(message, pending->number, lock);
  }

  /// Decodes a payload as M.
  template <typename M>
  Result<M> read(const Payload& payload) {
    M message;
    if (!protocol::decode(std::span<const std::byte>(payload), message)) return disbelieve("a short reply");
    return message;
  }
  /// Where a region of at least `least` bytes lies: in the heap's own part, aligned as every region is unless it lies
  /// `within` another.
  Result<std::byte*> place(const protocol::RegionReply& reply, uint64_t least, bool within = false);

  /// Enqueues: numbers the command on its stream, owes `event` (may be null; it has its id and is retained until its
  /// EventDone) and sends. Caller holds stream.mutex and has put stream.id, the waits and the event's id into the head.
  template <typename M>
  bool enqueue(Stream& stream, const M& message, Event* event) {
    return enqueue_as(stream, message, event, 0);
  }
  /// The same, but waits for the driver's verdict on the call. On error the worker has counted the command and sends the
  /// event's EventDone with the error; the caller drops the event.
  template <typename M>
  Result<void> enqueue_checked(Stream& stream, const M& message, Event* event) {
    PendingCall pending;
    if (!begin_call(pending)) return dead_error();
    if (enqueue_as(stream, message, event, pending.number))
      wait_until([&] { return pending.done.load(std::memory_order_acquire); });
    auto reply = end_call(pending);
    if (!reply) return std::unexpected(std::move(reply.error()));
    return {};
  }

  /// Enqueues a gate (gates.h) whose work runs on the service thread. `event`, which has its id, becomes the gate's. False,
  /// and the work gone, if the session is dead. Caller holds stream.mutex.
  bool enqueue_gate(Stream& stream, std::span<const protocol::ObjectId> waits, Event& event, Gate::Work work);

  /// Back-pressure, before an enqueue: waits while the session has too many commands that have not completed; not for what
  /// the program itself may have to do first (end a user event, return from a callback), until there is no room at all.
  /// Caller holds no stream's mutex. False if there is no room, or the session is dead.
  bool throttle() { return (!dead() && under_way() < kCommandsAhead) || hold_back(); }
  /// A stream that goes with commands under way: nobody will be told of their end.
  void leave(const Stream& stream);
  /// Waits until everything enqueued on the stream so far has completed. False if the session died; no gate runs then.
  bool finish(Stream& stream);
  /// Waits for the event's end. False if the session died (the event then has kDeadStatus); no gate runs then.
  bool wait(Event& event);
  /// Takes what has come back, without waiting. Call it from polls of an event's status.
  void poll();

  /// Drains and sleeps until `done()` is true or the session is dead; true if done.
  bool wait_until(const std::function<bool()>& done);

  /// Starts the service thread if there is none, and keeps it draining while work is pending.
  void need_service();
  /// Runs `job` on the service thread.
  void defer(std::function<void()> job);
  /// Runs `job` when all commands that were sent so far have ended: on the service thread, or where the program waits for
  /// their end, before it hears of it.
  void after(Afterwards::Job job);
  /// Commands that were sent and are not known to have completed.
  uint64_t under_way() const {
    const uint64_t retired = retired_.load(std::memory_order_acquire), sent = sent_.load(std::memory_order_relaxed);
    return sent - std::min(sent, retired);
  }
  /// Balances one unit of pending work that keeps the service thread draining.
  void hold_service() {
    service_holds_.fetch_add(1, std::memory_order_acq_rel);
    need_service();
  }
  void drop_service() { service_holds_.fetch_sub(1, std::memory_order_acq_rel); }

 private:
  struct PendingCall {
    uint32_t number = 0;
    std::atomic<bool> done{false};
    Result<Payload> result = Payload();
    Payload error_payload;  ///< of a failed call, where it has one
    std::function<void(Result<Payload>)> later;
  };

  static constexpr size_t kMostUnsent = 64;

  Session() = default;
  Result<void> connect(const protocol::Token& slice);
  Result<void> map_memories(int ring_fd, int grants_fd);
  Result<void> greet(uint64_t staging_bytes);
  bool heap_reaches(uint64_t end);
  bool open_part(uint64_t begin, uint64_t end);
  uint64_t probe(uint64_t end);
  void unmap_memories();

  template <typename M>
  bool send_locked(const M& message, uint32_t call, std::unique_lock<std::mutex>& lock) {
    for (uint32_t tries = 0; !dead(); ++tries) {
      // What has gone first: the message may make another object in its place.
      if (put_releases() && protocol::produce(commands_, message, call, payload_bound(message))) {
        [[maybe_unused]] const bool woken = commands_.wake();
        if constexpr (std::is_same_v<M, protocol::Launch>)
          if (woken && message.head.waits.empty()) knock();
        return true;
      }
      if (!make_room(payload_bound(message), lock, tries)) break;
    }
    return false;
  }
  /// Puts what has gone into the ring; false if there is no room for all. Caller holds send_mutex_.
  bool put_releases() { return unsent_.load(std::memory_order_acquire) == 0 || put_all_releases(); }
  bool put_all_releases();
  void send_releases();
  /// The worker, which slept, will launch something. Where it will have to ask for its turn first, says so already: beside
  /// busy neighbours it may take milliseconds to wake up, and the arbiter, which is real-time, stops them.
  void knock() const {
    if (devices_.size() == 1 && grants_->devices[0].granted.load(std::memory_order_relaxed) == 0) ring_knock();
  }
  void ring_knock() const;
  template <typename M>
  bool enqueue_as(Stream& stream, const M& message, Event* event, uint32_t call) {
    bool after_all = stream.in_order;
    if constexpr (std::is_same_v<M, protocol::Marker>) after_all |= message.head.waits.empty();
    number(stream, after_all, message.head.waits, event);
    if (std::unique_lock lock(send_mutex_); send_locked(message, call, lock)) return true;
    take_back(stream, event);
    return false;
  }
  bool hold_back();
  Afterwards::Until streams_under_way();
  void ask_streams(const Afterwards::Until& streams);
  bool has_come(protocol::ObjectId stream, uint64_t number);
  bool is_due();
  void run_due();
  void run_all_due();
  void retire(Stream& stream, uint64_t number) { retired_.fetch_add(stream.retire(number), std::memory_order_release); }
  void number(Stream& stream, bool after_all, std::span<const protocol::ObjectId> waits, Event* event);
  void take_back(Stream& stream, Event* event);
  /// An upper bound of the encoded size; most commands are small and fixed.
  template <typename M>
  static size_t payload_bound(const M& message) {
    if constexpr (requires { message.head.waits; }) {
      size_t variable = message.head.waits.size_bytes();
      if constexpr (requires { message.args; }) variable += message.args.size();
      if constexpr (requires { message.pattern; }) variable += message.pattern.size();
      if constexpr (requires { message.regions; }) variable += message.regions.size_bytes();
      return variable + 320;
    } else {
      return protocol::encoded_size(message);
    }
  }
  bool make_room(size_t payload, std::unique_lock<std::mutex>& lock, uint32_t tries);

  bool begin_call(PendingCall& pending);
  Result<Payload> end_call(PendingCall& pending, Payload* error_payload = nullptr);
  std::unexpected<Error> dead_error() const;

  void drain();
  void handle(const protocol::Frame& frame);
  void on_reply(const protocol::Frame& frame);
  void on_event_done(const protocol::EventDone& done);
  void on_event_status(const protocol::EventStatus& status);
  void on_gate(const protocol::GateReady& ready);
  void on_retired(const protocol::StreamRetired& retired);
  Event* take_owed(protocol::ObjectId id, bool& gated);
  Seen look(protocol::ObjectId id);
  bool is_believed(const protocol::EventDone& done, const Event* event);
  void run_gate(protocol::ObjectId id);
  void await_end();
  void die();
  void end_calls();
  void end_events();
  void nudge_service();
  void follow(uint32_t seen, uint64_t timeout_ns);
  bool lead(const std::function<bool()>& done, bool service);
  void check_peer();
  bool is_check_due();
  bool is_told_the_end() const {
    return grants_ != nullptr && grants_->ending.load(std::memory_order_acquire) != model::Ending::kNone;
  }
  void announce_progress();
  void service_loop();
  bool is_service_thread() const;
  bool leave_service();
  void run_jobs();

  protocol::Channel daemon_;
  KeptDescriptor worker_;  ///< hang-up means the worker is gone
  KeptDescriptor knock_;   ///< eventfd of the arbiter's
  const model::Grants* grants_ = nullptr;
  std::vector<std::string> devices_;
  protocol::RingMemory* rings_ = nullptr;
  std::byte* heap_ = nullptr;
  uint64_t heap_bytes_ = 0;
  std::mutex parts_mutex_;
  protocol::OpenParts parts_;            ///< what of it may be touched
  KeptDescriptor heap_fd_;               ///< to see how far the memory reaches
  std::atomic<uint64_t> heap_there_{0};  ///< bytes of it that are known to be there
  std::atomic<bool> dead_{false};
  std::atomic<bool> ended_{false};  ///< it is dead, and all its events have ended

  std::mutex send_mutex_;
  protocol::RingProducer commands_;

  std::mutex releases_mutex_;                ///< inside send_mutex_
  std::deque<protocol::ObjectId> releases_;  ///< of objects that the worker has been told of, so no more than of these
  std::atomic<size_t> unsent_{0};            ///< how many
  std::atomic<bool> release_soon_{false};    ///< one of them must not wait for a command

  std::atomic<uint64_t> sent_{0}, retired_{0};  ///< commands of all streams
  std::atomic<uint64_t> stuck_at_{UINT64_MAX};  ///< what retired_ was when there was no room however long one waited

  std::mutex leader_;  ///< whoever holds it drains
  protocol::RingConsumer completions_;
  std::unique_ptr<protocol::Frame> frame_;
  std::atomic<uint32_t> progress_{0};  ///< bumped after every drained batch; followers sleep on it
  std::atomic<uint32_t> followers_{0};
  std::atomic<uint32_t> off_duty_{0};  ///< why the service thread must not lead: waiting threads, and one if it has jobs
  std::atomic<bool> service_leads_{false};
  std::atomic<uint64_t> next_check_ns_{0};  ///< when a poll looks whether the worker still lives
  protocol::SpinBudget spin_;               ///< under leader_, for threads of the program

  IdPool ids_;
  Staging staging_;
  std::mutex calls_mutex_;
  uint32_t next_call_ = 0;
  std::unordered_map<uint32_t, PendingCall*> calls_;
  Gates gates_;

  std::mutex jobs_mutex_;
  std::deque<std::function<void()>> jobs_;
  std::atomic<int32_t> service_holds_{0};
  Afterwards afterwards_;
  std::atomic<uint32_t> running_due_{0};  ///< threads that run what was due
  std::atomic<bool> service_started_{false};
};

}  // namespace amalgam::client
