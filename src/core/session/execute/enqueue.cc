// SPDX-License-Identifier: Apache-2.0
// Enqueues: numbered, checked, given to the driver, and followed until they end.
#include "core/session/execute/enqueue.h"

#include <algorithm>
#include <type_traits>

#include "core/session/execute/image_layout.h"
#include "core/session/execute/rebuilding.h"
#include "core/session/state/stand_in.h"

namespace amalgam::core {

namespace {

/// Whether a command keeps the device busy; the others only order.
template <typename M>
constexpr bool kWorksOnDevice =
    std::is_same_v<M, protocol::Launch> || std::is_same_v<M, protocol::Transfer> || std::is_same_v<M, protocol::Fill>;

}  // namespace

template <typename M>
void Executor::enqueue(std::span<const std::byte> frame, uint32_t call) {
  M message;
  if (!protocol::decode(frame, message)) return break_session("a command is malformed");
  Ticket ticket;
  ticket.behind = behind_of(message.head);
  ticket.flight = teller_.take();
  ticket.flight->type = static_cast<uint16_t>(M::kType);
  ticket.flight->frame.assign(frame.begin(), frame.end());
  if constexpr (std::is_same_v<M, protocol::Launch>) {
    ticket.flight->taken_ns = protocol::monotonic_ns();
    ticket.cutting = planner_.cut(message, view());
  }
  if constexpr (kWorksOnDevice<M>) {
    // What can only run after a cut launch passes when that is released.
    auto* stream = table_.find<StreamObject>(message.head.stream);
    ticket.works = ticket.cutting.cut == nullptr;
    if (stream != nullptr && ticket.works && ticket.behind == nullptr)
      ticket.flight->in_turn = take_turn(stream->device->index);
  }
  bridges_.clear();
  Result<void> verdict = admit(message.head, ticket);
  if (verdict) {
    if constexpr (!std::is_same_v<M, protocol::Transfer>) log(ticket);
    auto event = issue(message, ticket);
    if (event)
      verdict = launch_flight(message.head, ticket, std::move(*event));
    else
      verdict = std::unexpected(std::move(event.error()));
  }
  if (!verdict) {
    log(ticket);
    refuse(message.head, ticket, verdict.error().native);
  }
  if (call != 0 || !verdict) reply(call, verdict);
}

template void Executor::enqueue<protocol::Launch>(std::span<const std::byte>, uint32_t);
template void Executor::enqueue<protocol::Transfer>(std::span<const std::byte>, uint32_t);
template void Executor::enqueue<protocol::Fill>(std::span<const std::byte>, uint32_t);
template void Executor::enqueue<protocol::Marker>(std::span<const std::byte>, uint32_t);
template void Executor::enqueue<protocol::Migrate>(std::span<const std::byte>, uint32_t);
template void Executor::enqueue<protocol::Gate>(std::span<const std::byte>, uint32_t);

/// Waits for the session's turn on the device. False if the session is ending. Everything else that wants the dispatcher
/// goes on meanwhile, but for the client's further commands.
bool Executor::take_turn(uint32_t device) {
  while (!turnstile_.enter(device)) {
    if (!await_turn(device)) return false;
    (void)pieces_.start();
  }
  return true;
}

/// Gives the devices what they may have of launches that are cut, and waits where it is not the session's turn. The client's
/// further commands wait with it.
void Executor::feed() {
  while (auto refused = pieces_.start())
    if (!await_turn(*refused)) return;
}

/// Sleeps until the session may have its turn, or has mail. False if it is ending.
bool Executor::await_turn(uint32_t device) {
  if (commands_.closed()) return false;
  settle_batch();
  (void)placer_.rest_begins(0);
  turnstile_.wait(device, interrupt_);
  placer_.rest_ends(std::nullopt, true);
  (void)take_interrupt();
  return true;
}

/// A cut launch that the command can only run after, and that has not been released.
BacklogPtr Executor::behind_of(const protocol::Enqueue& head) const {
  auto is_live = [](const BacklogPtr& backlog) { return backlog != nullptr && !backlog->released; };  // changed here only
  auto* stream = table_.find<StreamObject>(head.stream);
  if (stream != nullptr && is_live(stream->behind)) return stream->behind;
  for (protocol::ObjectId id : head.waits) {
    auto* event = table_.find<EventObject>(id);
    if (event != nullptr && is_live(event->behind)) return event->behind;
  }
  return nullptr;
}

/// What comes later in the stream, or waits for the event, comes after what this command comes after.
void Executor::note_order(Ticket& ticket, EventObject* event) const {
  StreamObject& stream = *ticket.stream;
  const BacklogPtr& own = ticket.cutting.cut != nullptr ? ticket.cutting.cut->backlog : ticket.behind;
  if (event != nullptr) event->behind = own;
  if (own == nullptr) return;
  if (stream.in_order)
    stream.behind = own;
  else
    stream.last_cut = own;
  if (!ticket.works) return;
  std::lock_guard lock(ticket.behind->mutex);
  ++ticket.behind->count;
  ticket.flight->behind = ticket.behind;
}

/// What the client must have heard before it hears of this command's end (flight.h). Commands that nobody can ask about
/// cost nothing here.
void Executor::note_telling(const protocol::Enqueue& head, Ticket& ticket, EventObject* event) const {
  StreamObject& stream = *ticket.stream;
  Flight& flight = *ticket.flight;
  for (protocol::ObjectId id : head.waits) {
    auto* waited = table_.find<EventObject>(id);
    if (waited != nullptr && waited->report != nullptr) flight.predecessors.push_back(waited->report);
  }
  if (!stream.in_order && stream.barrier_report != nullptr) flight.predecessors.push_back(stream.barrier_report);
  if (stream.in_order ? event != nullptr : ticket.is_marker && head.waits.empty()) flight.after = ticket.number - 1;
  if (event != nullptr || ticket.is_barrier) flight.report = std::make_shared<EndReport>();
  if (event != nullptr) event->report = flight.report;
  if (ticket.is_barrier) stream.barrier_report = flight.report;
}

Result<void> Executor::admit(const protocol::Enqueue& head, Ticket& ticket) {
  auto stream = need<StreamObject>(head.stream);
  if (!stream) return std::unexpected(std::move(stream.error()));
  ticket.stream = *stream;
  {
    std::lock_guard lock((*stream)->mutex);
    ticket.number =
        rebuilding_ != nullptr && !rebuilding_->is_new ? rebuilding_->pending->number : (*stream)->progress.start();
  }
  if (teller_.in_flight() >= kMaxInFlight) return fail(Code::kLimit, "in-flight-commands", native::kOutOfResources);
  if (head.event != 0) {
    if (auto free = table_.check_free(head.event); !free) return free;
  }
  return resolve_waits(head, ticket);
}

/// Another driver's event: a user event of this one ends with it.
Result<south::EventPtr> Executor::bridge_to(EventObject& event, ContextObject& context) {
  for (const auto& [to, bridge] : event.bridges)
    if (to.get() == &context) return bridge;
  auto bridge = users_.make(context);
  if (!bridge) return bridge;
  event.event->on_complete([this, user = *bridge, pending = callbacks_.one()](const south::Outcome& outcome) mutable {
    users_.end(user, outcome.status);
    pending.reset();
  });
  event.bridges.emplace_back(Ref(&context), *bridge);
  return bridge;
}

Result<void> Executor::resolve_waits(const protocol::Enqueue& head, Ticket& ticket) {
  if (head.waits.size() > kMaxWaitList) return fail(Code::kLimit, "wait-list-events", native::kOutOfResources);
  waits_.clear();
  ContextObject& context = *ticket.stream->context;
  for (protocol::ObjectId id : head.waits) {
    auto* event = table_.find<EventObject>(id);
    if (event == nullptr) return fail(Code::kInvalidArgument, "waits for no event", native::kInvalidEventWaitList);
    if (!event->event) return fail(Code::kDriver, "waits for a command that was refused", native::kExecStatusErrorForEvents);
    if (event->is_settled) {
      const int32_t status = event->event->poll().status;
      if (status < 0) return fail(Code::kDriver, "waits for a command that failed", native::kExecStatusErrorForEvents);
      continue;
    }
    if (event->is_user) ticket.hold(event);  // released before it has ended, it must still be there to end
    if (event->context.get() == &context) {
      waits_.push_back(event->event.get());
      continue;
    }
    auto bridge = bridge_to(*event, context);
    if (!bridge) return std::unexpected(std::move(bridge.error()));
    bridges_.push_back(*bridge);
    waits_.push_back(bridge->get());
  }
  ticket.waits = waits_;
  return {};
}

Result<void> Executor::launch_flight(const protocol::Enqueue& head, Ticket& ticket, south::EventPtr event) {
  StreamObject& stream = *ticket.stream;
  EventObject* named = nullptr;
  if (head.event != 0) {
    auto object = make_object<EventObject>(deleter_);
    object->context = stream.context;
    object->event = event;
    object->is_user = ticket.is_gate;
    named = object.get();
    if (auto inserted = table_.insert(head.event, std::move(object)); !inserted) return inserted;
  }
  if (!stream.touched) {
    stream.touched = true;
    touched_.emplace_back(&stream);
  }
  note_order(ticket, named);
  note_telling(head, ticket, named);
  std::unique_ptr<Flight> flight = std::move(ticket.flight);
  flight->stream = Ref(&stream);
  flight->number = ticket.number;
  flight->event = head.event;
  if (ticket.is_gate) flight->gate = event;
  teller_.follow(std::move(flight), *event);
  return {};
}

void Executor::refuse(const protocol::Enqueue& head, Ticket& ticket, int32_t native) {
  south::Outcome outcome;
  outcome.status = native < 0 ? native : native::kOutOfResources;
  if (ticket.flight) {
    if (ticket.flight->in_turn && ticket.stream != nullptr) turnstile_.leave(ticket.stream->device->index);
    teller_.give_back(std::move(ticket.flight));
  }
  if (head.event != 0 && table_.check_free(head.event)) {
    auto object = make_object<EventObject>(deleter_);
    (void)table_.insert(head.event, std::move(object));
  }
  if (ticket.stream != nullptr && journal_.logs() && rebuilding_ == nullptr)
    journal_.done({head.stream, ticket.number, true, outcome.status, {}});
  if (ticket.stream == nullptr) {
    if (head.event != 0) outbox_.post(protocol::EventDone{head.event, outcome.status, head.stream, 0, {}});
    outbox_.wake();
    return;
  }
  StreamObject& stream = *ticket.stream;
  if (!stream.touched) {
    stream.touched = true;
    touched_.emplace_back(&stream);
  }
  teller_.refused(stream, ticket.number, head.event, outcome);
  outbox_.wake();
}

Result<south::EventPtr> Executor::issue(const protocol::Launch& m, Ticket& ticket) {
  auto kernel = need<KernelObject>(m.kernel);
  if (!kernel) return std::unexpected(std::move(kernel.error()));
  if (m.dimensions < 1 || m.dimensions > 3)
    return fail(Code::kInvalidArgument, "dimensions", -53);  // CL_INVALID_WORK_DIMENSION
  if (ticket.cutting.cut != nullptr) return issue_cut(ticket.cutting.cut, ticket);
  ticket.flight->pace = std::move(ticket.cutting.pace);
  ticket.flight->groups = ticket.cutting.groups;
  if (auto applied = apply_arguments(**kernel, m.args, table_, view(), ticket.flight->held); !applied)
    return std::unexpected(std::move(applied.error()));
  ticket.hold(*kernel);
  note_written(*ticket.flight);
  ticket.flight->prints = (*kernel)->module->may_print;
  config_.counters->launches.fetch_add(1, std::memory_order_relaxed);
  south::LaunchRange range{m.dimensions, m.has_offset, m.has_local, m.offset, m.global, m.local};
  return ticket.stream->stream->launch(*(*kernel)->kernel, range, ticket.waits);
}

Result<south::EventPtr> Executor::issue_cut(const CutPtr& cut, Ticket& ticket) {
  ticket.hold(cut->kernel.get());
  for (auto& object : cut->held) ticket.flight->held.push_back(std::move(object));
  cut->held.clear();
  note_written(*ticket.flight);
  ticket.flight->prints = cut->kernel->module->may_print;
  ticket.flight->cut = cut;
  return pieces_.issue(cut, *ticket.stream, ticket.waits);
}

Result<void> Executor::resolve_place(const protocol::Endpoint& end, Ticket& ticket, south::Place& out,
                                     RegionObject*& region) {
  using EndKind = protocol::Endpoint::Kind;
  out.offset = end.offset;
  out.origin = end.origin;
  out.row_pitch = end.row_pitch;
  out.slice_pitch = end.slice_pitch;
  if (end.kind > EndKind::kImage) return fail(Code::kProtocol, "endpoint", native::kInvalidValue);
  if (end.kind == EndKind::kHeap) return {};
  auto found = need<RegionObject>(end.id);
  if (!found) return std::unexpected(std::move(found.error()));
  region = *found;
  if (!region->region || region->is_image != (end.kind == EndKind::kImage))
    return fail(Code::kInvalidArgument, "not that kind of memory object", native::kInvalidMemObject);
  out.region = region->region.get();
  out.is_image = region->is_image;
  ticket.hold(region);
  return {};
}

/// Checks that a heap end of a box lies in the heap, and makes it an address. `image`: at the other end, null if there is
/// none.
Result<Executor::HeapBox> Executor::place_in_heap(const protocol::Endpoint& end, std::array<uint64_t, 3> extent, bool rect,
                                                  const RegionObject* image, south::Place& out) const {
  auto outside = [] { return fail(Code::kInvalidArgument, "outside of the heap", native::kInvalidValue); };
  std::optional<uint64_t> bytes;
  uint64_t row_pitch = end.row_pitch, slice_pitch = end.slice_pitch, begin = end.offset;
  if (image != nullptr) {
    uint64_t pixel = image->element_size == 0 ? 16 : image->element_size;
    if (__builtin_mul_overflow(extent[0], pixel, &extent[0])) return outside();
    // Arrays of rows: drivers differ in which pitch counts, so both must fit.
    if (image->image_type == kImage1dArray) row_pitch = std::max(row_pitch == 0 ? extent[0] : row_pitch, slice_pitch);
    bytes = box_bytes(extent, row_pitch, slice_pitch);
  } else if (rect) {
    if (row_pitch == 0) row_pitch = extent[0];
    if (slice_pitch == 0 && __builtin_mul_overflow(row_pitch, extent[1], &slice_pitch)) return outside();
    uint64_t rows = 0, slices = 0;
    if (__builtin_mul_overflow(end.origin[1], row_pitch, &rows) ||
        __builtin_mul_overflow(end.origin[2], slice_pitch, &slices))
      return outside();
    if (__builtin_add_overflow(begin, rows, &begin) || __builtin_add_overflow(begin, slices, &begin) ||
        __builtin_add_overflow(begin, end.origin[0], &begin))
      return outside();
    bytes = box_bytes(extent, row_pitch, slice_pitch);
  } else {
    bytes = extent[0];
  }
  const uint64_t all = config_.heap_bytes;
  if (!bytes || *bytes > all || begin > all - *bytes || end.offset > all) return outside();
  if (!heap_.accessible(begin, *bytes)) return outside();
  out.heap = heap_base_ + end.offset;
  return HeapBox{begin, *bytes};
}

Result<south::EventPtr> Executor::issue(const protocol::Transfer& m, Ticket& ticket) {
  south::Place from, to;
  RegionObject* source = nullptr;
  RegionObject* target = nullptr;
  if (auto ok = resolve_place(m.from, ticket, from, source); !ok) return std::unexpected(std::move(ok.error()));
  if (auto ok = resolve_place(m.to, ticket, to, target); !ok) return std::unexpected(std::move(ok.error()));
  const RegionObject* image = source != nullptr && source->is_image   ? source
                              : target != nullptr && target->is_image ? target
                                                                      : nullptr;
  HeapBox taken;
  if (source == nullptr) {
    auto box = place_in_heap(m.from, m.extent, m.rect, image, from);
    if (!box) return std::unexpected(std::move(box.error()));
    taken = *box;
  }
  if (target == nullptr) {
    if (auto box = place_in_heap(m.to, m.extent, m.rect, image, to); !box) return std::unexpected(std::move(box.error()));
  } else {
    whole_of(*target).is_written = true;
  }
  ticket.flight->notes_its_end = journal_.logs() && (source == nullptr || target == nullptr);
  if (journal_.logs() && source == nullptr && target != nullptr) keep(taken, ticket, from);
  log(ticket);
  auto made = ticket.stream->stream->transfer(from, to, m.rect, m.extent, ticket.waits);
  if (!made) return made;
  uint64_t bytes = m.extent[0];
  if (image != nullptr) bytes *= std::max<uint64_t>(image->element_size, 1);
  if (m.rect || image != nullptr) bytes *= m.extent[1] * m.extent[2];
  auto& counter = source == nullptr && target != nullptr   ? config_.counters->bytes_written
                  : source != nullptr && target == nullptr ? config_.counters->bytes_read
                                                           : config_.counters->bytes_copied;
  counter.fetch_add(bytes, std::memory_order_relaxed);
  return made;
}

Result<south::EventPtr> Executor::issue(const protocol::Fill& m, Ticket& ticket) {
  if (m.pattern.empty() || m.pattern.size() > kMaxFillPattern)
    return fail(Code::kInvalidArgument, "pattern size", native::kInvalidValue);
  south::Place to;
  RegionObject* target = nullptr;
  if (auto ok = resolve_place(m.to, ticket, to, target); !ok) return std::unexpected(std::move(ok.error()));
  if (target != nullptr && target->is_image && m.pattern.size() != 16)
    return fail(Code::kInvalidArgument, "a colour is 16 bytes", native::kInvalidValue);
  if (target == nullptr) {
    if (auto box = place_in_heap(m.to, m.extent, false, nullptr, to); !box) return std::unexpected(std::move(box.error()));
  } else {
    whole_of(*target).is_written = true;
  }
  return ticket.stream->stream->fill(to, m.extent, m.pattern, ticket.waits);
}

Result<south::EventPtr> Executor::issue(const protocol::Marker& m, Ticket& ticket) {
  if (m.kind > protocol::MarkerKind::kBarrier) return fail(Code::kProtocol, "marker kind", native::kInvalidValue);
  StreamObject& stream = *ticket.stream;
  auto made = stream.stream->marker(m.kind, ticket.waits);
  if (!made || stream.in_order) return made;
  // Without a wait list it stands for everything before it, also for what is cut.
  if (ticket.behind == nullptr && ticket.waits.empty() && stream.last_cut != nullptr && !stream.last_cut->released)
    ticket.behind = stream.last_cut;
  ticket.is_marker = true;
  if (m.kind == protocol::MarkerKind::kBarrier) {
    ticket.is_barrier = true;
    stream.barrier = *made;
    stream.behind = ticket.behind;
  }
  return made;
}

Result<south::EventPtr> Executor::issue(const protocol::Migrate& m, Ticket& ticket) {
  std::vector<south::Region*> regions;
  for (protocol::ObjectId id : m.regions) {
    auto region = need<RegionObject>(id);
    if (!region) return std::unexpected(std::move(region.error()));
    if (!(*region)->region) return fail(Code::kInvalidArgument, "no region of the driver", native::kInvalidMemObject);
    regions.push_back((*region)->region.get());
    ticket.hold(*region);
  }
  return ticket.stream->stream->migrate(regions, m.flags, ticket.waits);
}

Result<south::EventPtr> Executor::issue(const protocol::Gate& m, Ticket& ticket) {
  if (m.head.event == 0) return fail(Code::kInvalidArgument, "a gate names its event", native::kInvalidEvent);
  StreamObject& stream = *ticket.stream;
  auto user = users_.make(*stream.context);
  if (!user) return user;
  ticket.is_gate = true;
  auto report = std::make_shared<GateReport>();
  report->told = rebuilding_ != nullptr && rebuilding_->pending->gate_is_told;
  ticket.flight->gate_report = report;
  protocol::ObjectId id = m.head.event;
  south::EventPtr follower;
  auto reached = stand_in(stream, ticket.waits, **user, follower);
  if (!reached) return reached;
  if (*reached == nullptr) {
    gate_reached(id, *user, 0, *report);
    return user;
  }
  (*reached)->on_complete(
      [this, id, user = *user, follower, report, pending = callbacks_.one()](const south::Outcome& outcome) mutable {
        gate_reached(id, user, outcome.status, *report);
        pending.reset();
      });
  return user;
}

void Executor::gate_reached(protocol::ObjectId gate, const south::EventPtr& user, int32_t status, GateReport& report) {
  if (!report.told.exchange(true)) {
    outbox_.post(protocol::GateReady{gate, std::min(status, 0)});
    outbox_.wake();
  }
  if (status < 0) users_.end(user, status);
  report.reached.store(true);
}

void Executor::notify(const protocol::Notify& m) {
  auto* stream = table_.find<StreamObject>(m.stream);
  if (stream == nullptr) return;
  config_.counters->waits.fetch_add(1, std::memory_order_relaxed);
  stream->stream->flush();
  teller_.ask_retired(*stream, Progress::Asked::kNotify);
  outbox_.wake();
}

}  // namespace amalgam::core
