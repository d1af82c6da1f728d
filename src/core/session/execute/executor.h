// SPDX-License-Identifier: Apache-2.0
// Executor: executes what one client sends, on any backend. The heart of a worker.
//
//   command ring ─▶ run(): decode, look up ids, call south ─▶ driver ─ callback ─▶ Teller: count, EventDone … ─▶ outbox
//                        │                                                                                    ▲
//                        ├─ long launches ─▶ CutPlanner, PieceRunner ─▶ driver                                │
//                        ├─ builds ─▶ slow lane ─ mail ─▶ dispatcher ─▶ Reply ────────────────────────────────┤
//                        └─ Reply ────────────────────────────────────────────────────────────────────────────┘
//
// The client is hostile: every id, size and offset is checked here; what the driver can judge itself is left to the driver.
// A frame that cannot be decoded ends the session with a Fault. A well-formed command that makes no sense is refused and
// changes nothing.
//
// Threads: run() is the dispatcher and owns everything that says so; completions come on the driver's threads; close(),
// flush_outbox() and drain_output() may be called from any thread. Blocking: run() sleeps when there is nothing to do; an
// allocation may wait for the daemon. Lifetime: the destructor fails what is pending and waits for the driver. A worker
// does not destroy its session, it exits.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/unique_fd.h"
#include "core/memory/heap.h"
#include "core/memory/memory_budget.h"
#include "core/session/cutting/cut_planner.h"
#include "core/session/cutting/piece_runner.h"
#include "core/session/execute/slow_lane.h"
#include "core/session/recipe/journal.h"
#include "core/session/recipe/point_clock.h"
#include "core/session/recipe/recovery_log.h"
#include "core/session/recipe/session_state.h"
#include "core/session/state/arguments.h"
#include "core/session/state/copies.h"
#include "core/session/state/object_table.h"
#include "core/session/state/objects.h"
#include "core/session/telling/outbox.h"
#include "core/session/telling/output_pipe.h"
#include "core/session/telling/teller.h"
#include "core/session/turns/dispatcher_placer.h"
#include "core/session/turns/turnstile.h"
#include "model/counters.h"
#include "protocol/link/ring.h"
#include "protocol/waist/waist.h"

namespace amalgam::core {

struct ExecutorConfig {
  protocol::RingMemory* rings = nullptr;  ///< mapped by the caller, RingMemory::kBytes
  int heap_fd = -1;                       ///< kept by the caller
  uint64_t heap_bytes = 0;
  uint64_t staging_bytes = kStagingBytes;  ///< of the heap's beginning, which the client hands out
  uint64_t quota_bytes = 0;                ///< 0: none
  int output_fd = -1;                      ///< read end of what fd 1 writes to, or -1
  model::Counters* counters = nullptr;
  const model::Grants* grants = nullptr;  ///< null: nobody else wants the devices, ever
  int bell_fd = -1;                       ///< the arbiter's eventfd
  MemoryBudget* budget = nullptr;
  std::vector<SessionDevice> devices;
  PlanProgram plan_program;            ///< null: no launch is ever cut
  std::function<void()> on_congested;  ///< somebody should call flush_outbox() by the clock
  DispatcherPlacer* placer = nullptr;  ///< null: nobody cares
  std::span<std::byte> journal;        ///< mapped by the caller, kJournalBytes; empty: the session never moves
  bool takes_over = false;             ///< another worker serves the session: rebuild() and take_over() come before run()
  bool reliable = false;               ///< whatever becomes of this worker, another can go on
};

class Executor {
 public:
  explicit Executor(ExecutorConfig config);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Serves until the ring is closed (fine) or the client breaks the protocol (kProtocol; it has been sent a Fault).
  Result<void> run();
  /// Ends run() and wakes the client, from any thread.
  void close();
  /// Moves queued completions to a client that reads again; true if none are left.
  bool flush_outbox() { return outbox_.flush(); }
  /// Sends on what kernels have printed so far, unless the client does not read.
  void drain_output();
  bool congested() const { return outbox_.congested(); }

  /// What a session left behind that moves.
  struct HandedOver {
    uint64_t copied_bytes = 0, pending = 0;
  };
  using HandedOverDone = std::function<void(Result<HandedOver>)>;
  /// Takes no further command, lets end what can end, and writes the rest into the journal; then `done` is called on the
  /// dispatcher, which does nothing more until stay(). kTimeout: something runs for longer than `patience_ms`, the session
  /// goes on. From any thread.
  void hand_over(uint64_t patience_ms, HandedOverDone done);
  /// The session does not move after all. From any thread.
  void stay();
  /// Makes what the journal says, as far as that has not been done: while another worker still serves, then once more when
  /// it has handed over. Touches neither rings nor journal. By who will call run().
  Result<void> rebuild(const JournalCopy& copy);
  /// After the last rebuild(), of the same copy: regions' bytes, ends of events, streams. The commands that are under way
  /// are taken over by run(). Touches no rings.
  Result<void> take_over(JournalCopy copy);
  /// Before rebuild(), of a copy with its log: its worker has died. What is logged is taken out of the copy, and executed
  /// again by run().
  void recover(JournalCopy& copy);
  /// From now on rings and journal are this one's.
  void begin_serving();
  uint64_t objects() const { return table_.size(); }
  /// Whether nobody governs the devices now, because the daemon is gone. From any thread.
  void set_free(bool free) { turnstile_.set_free(free); }

 private:
  using Payload = south::Bytes;

  // session.cc: the loop
  void dispatch(const protocol::Frame& frame);
  bool take_frames();
  void settle_batch();
  void rest();
  void poke();
  bool take_interrupt();
  void wake_client();
  void break_session(const char* why);

  // session.cc: answers
  void reply(uint32_t call, const Result<void>& result, std::span<const std::byte> payload = {});
  bool note_verdict(const Result<void>& result);
  template <typename M>
  void reply_message(uint32_t call, const Result<M>& result);
  template <typename M>
  void handle(const protocol::Frame& frame);
  template <typename M>
  auto perform(const M& message, std::span<const std::byte> frame);
  template <typename M, typename F>
  void with(const protocol::Frame& frame, F act);
  template <typename M>
  bool decode(const protocol::Frame& frame, M& message);

  // session.cc: look-ups
  template <typename T>
  Result<T*> need(protocol::ObjectId id) const;
  Result<std::span<std::byte>> bulk(protocol::BulkRef ref) const;
  Result<std::span<const std::byte>> input(protocol::BulkRef ref) const;
  HeapView view() const { return {heap_base_, config_.heap_bytes}; }
  Result<std::vector<south::Device*>> devices_of(std::span<const protocol::ObjectId> ids,
                                                 std::vector<Ref<DeviceObject>>* held);

  // create.cc
  Result<protocol::HelloReply> execute(const protocol::Hello&);
  Result<void> execute(const protocol::OpenDevice&);
  Result<protocol::CountReply> execute(const protocol::CreateSubDevices&);
  Result<void> execute(const protocol::CreateContext&);
  Result<void> execute(const protocol::CreateStream&);
  Result<void> execute(const protocol::CreateSampler&);
  Result<void> execute(const protocol::CreateUserEvent&);
  Result<void> execute(const protocol::Release&);
  Result<void> execute(const protocol::SignalEvent&);
  Result<void> execute(const protocol::WatchEvent&);

  // record.cc
  void record_made(protocol::ObjectId id, protocol::CommandType type, std::span<const std::byte> frame,
                   std::span<const std::byte> bulk = {});
  void record_changed(const Object& object, protocol::CommandType type, std::span<const std::byte> frame, bool succeeded);
  void record(const protocol::Hello&, std::span<const std::byte> frame);
  void record(const protocol::CreateSubDevices&, std::span<const std::byte> frame);
  void record(const protocol::CreateImage&, std::span<const std::byte> frame);
  void record(const protocol::CreateModule&, std::span<const std::vector<std::byte>> blobs);
  void record(const protocol::CloneKernel&, std::span<const std::byte> frame);
  void record(const protocol::SetKernelExecInfo&, std::span<const std::byte> frame);
  void record(const protocol::SetSpecConstant&, std::span<const std::byte> frame);

  // rebuild.cc
  struct Rebuilding;
  class Speaker;
  template <typename M>
  Result<void> remake(std::span<const std::byte> frame);
  Result<void> remake(const Record& record);
  Result<void> remake(protocol::CommandType type, std::span<const std::byte> frame);
  Result<void> find_pixels(protocol::CreateImage& m);
  void finish_builds();
  void let_go(const JournalCopy& copy);
  Result<void> restore(const Record& record);
  template <typename M>
  Result<void> restore_as(const Record& record);
  Result<void> restore(const StreamState&);
  Result<void> restore(const EndedEvent&);
  Result<void> restore(const SavedRegion&);
  Result<void> carry(RegionObject& region, uint64_t heap_offset, bool into_region);
  void resume();
  void resume(const PendingCommand&);

  // hand_over.cc
  struct OpenCommand;
  struct Leaving {
    uint64_t until_ns = 0;
    HandedOverDone done;
  };
  void try_to_leave();
  void stand_still();

  // point.cc
  bool come_to_rest(std::vector<OpenCommand>& commands);
  bool watchers_are_told(const std::vector<OpenCommand>& commands);
  std::vector<OpenCommand> open_commands();
  bool all_are_held_up(std::vector<OpenCommand>& commands);
  bool point_is_due();
  void try_point();
  void be_unreliable(const std::string& why);
  void clear_waste();
  Result<HandedOver> take_point(const std::vector<OpenCommand>& commands);
  std::unordered_set<RegionObject*> own_regions();
  Result<uint64_t> save_regions(std::vector<RegionObject*>& saved);
  void write_streams(const std::vector<OpenCommand>& commands);
  void write_events(const std::vector<OpenCommand>& commands);
  void write_pending(const std::vector<OpenCommand>& commands);

  // recover.cc
  struct Ticket;
  void log_frame(const protocol::Frame& frame);
  void log(Ticket& ticket);
  void note_open_build(uint16_t type, uint32_t call, std::span<const std::byte> frame);
  struct HeapBox;
  void keep(const HeapBox& box, Ticket& ticket, south::Place& from);
  bool is_known_to_client(const protocol::Frame& frame);
  void replay();
  void again(const Record& record);
  Result<void> again(PendingCommand command, bool is_new);
  void await_again(const Told& told);
  Result<void> enqueue_again(const PendingCommand& command, bool is_new, bool was_done);
  bool find_kept(protocol::ObjectId stream, const PendingCommand& command);
  bool await_some_end();
  void go_round();
  void again(const Record& record, const PendingCommand& command);
  Result<void> mark_again(const protocol::Enqueue& head, const PendingCommand& command, bool is_new);
  void settle_again(const protocol::Enqueue& head, const DoneCommand& done, bool is_new);

  // create_memory.cc
  Result<protocol::RegionReply> execute(const protocol::CreateRegion&);
  Result<protocol::RegionReply> execute(const protocol::CreateSubRegion&);
  Result<protocol::ImageReply> execute(const protocol::CreateImage&);
  Result<QuotaShare> take_quota(uint64_t bytes);
  Result<HeapRange> take_range(uint64_t bytes);
  Result<void> create_svm(const protocol::CreateRegion& m, RegionObject& region);
  Result<void> create_buffer(const protocol::CreateRegion& m, RegionObject& region);
  Result<void> create_over(const protocol::CreateRegion& m, RegionObject& region);
  Result<void> allocate_image(const protocol::CreateImage& m, RegionObject& image, south::ImageSpec& spec);
  Result<void> settle_image_quota(RegionObject& image, uint64_t real);

  // modules.cc
  void create_module(const protocol::CreateModule&, uint32_t call);
  void build(const protocol::BuildModule&, uint32_t call);
  void compile(const protocol::CompileModule&, uint32_t call);
  void link(const protocol::LinkModule&, uint32_t call);
  Result<void> make_module(const protocol::CreateModule&, std::vector<int32_t>& statuses);
  void on_slow_lane(std::vector<Ref<ModuleObject>> users, std::function<Result<void>()> job,
                    std::function<void(const Result<void>&)> after);
  Result<ModuleObject*> need_idle_module(protocol::ObjectId id) const;
  Result<void> execute(const protocol::SetSpecConstant&);
  Result<void> execute(const protocol::CreateKernel&);
  Result<void> execute(const protocol::CloneKernel&);
  Result<void> execute(const protocol::SetArg&);
  Result<void> execute(const protocol::SetKernelExecInfo&);

  // queries.cc
  void query(const protocol::Query&, uint32_t call);
  Result<Payload> ask(const protocol::Query&);
  Result<Payload> ask_module(const protocol::Query&);
  Result<Payload> ask_kernel(const protocol::Query&);

  // enqueue.cc
  Result<south::EventPtr> issue(const protocol::Launch&, Ticket&);
  Result<south::EventPtr> issue(const protocol::Transfer&, Ticket&);
  Result<south::EventPtr> issue(const protocol::Fill&, Ticket&);
  Result<south::EventPtr> issue(const protocol::Marker&, Ticket&);
  Result<south::EventPtr> issue(const protocol::Migrate&, Ticket&);
  Result<south::EventPtr> issue(const protocol::Gate&, Ticket&);
  template <typename M>
  void enqueue(std::span<const std::byte> frame, uint32_t call);
  void feed();
  bool take_turn(uint32_t device);
  bool await_turn(uint32_t device);
  Result<void> admit(const protocol::Enqueue& head, Ticket& ticket);
  Result<south::EventPtr> bridge_to(EventObject& event, ContextObject& context);
  Result<void> resolve_waits(const protocol::Enqueue& head, Ticket& ticket);
  Result<void> resolve_place(const protocol::Endpoint& end, Ticket& ticket, south::Place& out, RegionObject*& region);
  Result<HeapBox> place_in_heap(const protocol::Endpoint& end, std::array<uint64_t, 3> extent, bool rect,
                                const RegionObject* image, south::Place& out) const;
  Result<void> launch_flight(const protocol::Enqueue& head, Ticket& ticket, south::EventPtr event);
  void refuse(const protocol::Enqueue& head, Ticket& ticket, int32_t native);
  void notify(const protocol::Notify&);
  Result<south::EventPtr> issue_cut(const CutPtr& cut, Ticket& ticket);
  void gate_reached(protocol::ObjectId gate, const south::EventPtr& user, int32_t status, GateReport& report);
  BacklogPtr behind_of(const protocol::Enqueue& head) const;
  void note_order(Ticket& ticket, EventObject* event) const;
  void note_telling(const protocol::Enqueue& head, Ticket& ticket, EventObject* event) const;

  ExecutorConfig config_;
  DispatcherPlacer nobody_;
  DispatcherPlacer& placer_;
  Turnstile turnstile_;
  std::atomic<uint32_t> interrupt_{0};  ///< the dispatcher has mail, dead objects or the client to wake
  std::atomic<bool> resting_{false};    ///< the dispatcher looks at `interrupt_` before it takes another command
  std::thread::id dispatcher_;
  protocol::RingConsumer commands_;
  std::unique_ptr<protocol::Frame> frame_;
  Journal journal_;
  Outbox outbox_;
  OutputPipe output_;

  Rebuilding* rebuilding_ = nullptr;  ///< what is being made again
  uint64_t rebuilt_to_ = 0;           ///< of the journal's records
  std::vector<protocol::ObjectId> remade_;
  std::optional<JournalCopy> taken_over_;  ///< whose commands run() takes over
  struct OpenBuild {
    uint16_t type = 0;
    std::vector<std::byte> frame;
  };
  std::map<uint32_t, OpenBuild> open_builds_;  ///< of a reliable session, by the call that has no reply yet
  bool has_waste_ = false;                     ///< the copies are of no use any more
  bool is_replaying_ = false;                  ///< what was logged
  std::optional<RecoveryLog> log_;             ///< what run() executes again
  PointClock clock_{PointClock::kHourNs};
  uint64_t point_from_ns_ = 0, point_until_ns_ = 0;  ///< a point is being tried; 0: none
  uint64_t point_retry_ns_ = 0;                      ///< one that could not be taken is tried again
  std::optional<Leaving> leaving_;                   ///< the session is to move
  std::atomic<uint32_t> may_stay_{0};
  std::atomic<uint32_t> settling_{0};  ///< user events that were ended and whose end has not been told

  DeferredDeleter deleter_;
  Heap heap_;
  Copies copies_;
  std::byte* heap_base_ = nullptr;
  ObjectTable table_;
  PendingCallbacks callbacks_;  ///< other than the teller's
  UserEvents users_;
  Mailbox mailbox_;
  DeviceTime time_;
  CutPlanner planner_;
  PieceRunner pieces_;
  Teller teller_;
  std::atomic<uint64_t> lane_jobs_{0};
  std::vector<Ref<StreamObject>> touched_;
  std::vector<south::Event*> waits_;      ///< scratch of the enqueue that is being executed
  std::vector<south::EventPtr> bridges_;  ///< likewise
  const char* broken_ = nullptr;
  protocol::SpinBudget spin_;

  SlowLane slow_lane_;  ///< last: its threads use everything above
};

}  // namespace amalgam::core
