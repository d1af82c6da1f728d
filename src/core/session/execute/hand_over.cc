// SPDX-License-Identifier: Apache-2.0
// The end of a worker's part in a session that moves: everything that can end ends, the rest is written down.
//
// Theory. Some commands cannot end now: those that wait, directly or not, for a user event or a gate that only the program
// can end, and that reaches us through the ring, which is not read any more. They have not begun, so another worker can be
// given them as they came. Everything else ends by itself; a kernel that takes too long keeps the session here.
#include <algorithm>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "core/session/execute/dispatch.h"

namespace amalgam::core {

/// A command that has not been told, in the order of the ring.
struct Executor::OpenCommand {
  protocol::CommandType type;
  protocol::ObjectId stream = 0, event = 0;
  uint64_t number = 0;
  bool in_order = true;
  bool gate_is_told = false;
  bool is_held_up = false;
  std::vector<std::byte> frame;
};

void Executor::hand_over(uint64_t patience_ms, HandedOverDone done) {
  mailbox_.send([this, patience_ms, done = std::move(done)]() mutable {
    leaving_.emplace(Leaving{protocol::monotonic_ns() + patience_ms * 1'000'000, std::move(done)});
  });
}

void Executor::stay() {
  may_stay_.store(1, std::memory_order_release);
  protocol::futex_wake_all(&may_stay_);
}

std::vector<Executor::OpenCommand> Executor::open_commands() {
  std::vector<OpenCommand> open;
  teller_.each_open([&](const Flight& flight) {
    OpenCommand& command = open.emplace_back();
    command.type = static_cast<protocol::CommandType>(flight.type);
    command.stream = flight.stream->id;
    command.in_order = flight.stream->in_order;
    command.event = flight.event;
    command.number = flight.number;
    command.gate_is_told = flight.gate_told != nullptr && flight.gate_told->load();
    command.frame = flight.frame;
  });
  return open;
}

/// Whether none of them will end before the program does something; notes which.
bool Executor::all_are_held_up(std::vector<OpenCommand>& commands) {
  struct Stream {
    bool any = false;      // of its commands so far are held up
    bool barrier = false;  // so is a barrier, or in order any
  };
  std::unordered_map<protocol::ObjectId, Stream> streams;
  std::unordered_set<protocol::ObjectId> held_up;
  bool all = true;
  for (OpenCommand& command : commands) {
    protocol::Marker marker;  // what every enqueue begins with, and a marker's kind
    if (!protocol::decode(command.frame, marker.head)) return false;
    const bool is_marker = command.type == protocol::CommandType::kMarker && protocol::decode(command.frame, marker);
    Stream& stream = streams[command.stream];
    bool is_held_up = stream.barrier || command.gate_is_told;
    if (is_marker && marker.head.waits.empty()) is_held_up |= stream.any;
    for (protocol::ObjectId id : marker.head.waits) {
      auto* event = table_.find<EventObject>(id);
      is_held_up |= held_up.contains(id);
      is_held_up |= event != nullptr && event->is_user && event->event != nullptr && users_.is_waiting(event->event);
    }
    command.is_held_up = is_held_up;
    all = all && is_held_up;
    if (!is_held_up) continue;
    stream.any = true;
    if (command.in_order || (is_marker && marker.kind == protocol::MarkerKind::kBarrier)) stream.barrier = true;
    if (command.event != 0) held_up.insert(command.event);
  }
  return all;
}

/// Whether nobody will still be told of a status of an event that has ended.
bool Executor::watchers_are_told(const std::vector<OpenCommand>& commands) {
  std::unordered_set<protocol::ObjectId> open;
  for (const OpenCommand& command : commands) open.insert(command.event);
  bool told = true;
  table_.each_named([&](protocol::ObjectId id, Object& object) {
    if (object.kind != Kind::kEvent) return;
    const auto& event = static_cast<EventObject&>(object);
    if (event.watched_told == nullptr || (event.watched & ~event.watched_told->load()) == 0) return;
    if (!open.contains(id) && !(event.is_user && users_.is_waiting(event.event))) told = false;
  });
  return told;
}

void Executor::try_to_leave() {
  constexpr auto kLook = std::chrono::microseconds(50);
  drain_output();
  (void)outbox_.flush();
  std::vector<OpenCommand> commands = open_commands();
  const bool is_quiet = lane_jobs_.load(std::memory_order_acquire) == 0 && interrupt_.load() == 0 && settling_.load() == 0;
  const bool can_leave = is_quiet && all_are_held_up(commands) && watchers_are_told(commands) && outbox_.hold();
  // What ended until the outbox was held has been told, or is queued there.
  if (!can_leave || settling_.load() != 0 || outbox_.waiting() != 0 || open_commands().size() != commands.size()) {
    outbox_.release();
    if (protocol::monotonic_ns() < leaving_->until_ns) return std::this_thread::sleep_for(kLook);
    Leaving leaving = std::move(*leaving_);
    leaving_.reset();
    const char* why = outbox_.congested() ? "the program does not read what comes back"
                      : is_quiet          ? "a kernel runs for longer than that"
                                          : "a program is being built for longer than that";
    return leaving.done(fail(Code::kTimeout, why));
  }
  Leaving leaving = std::move(*leaving_);
  leaving_.reset();
  std::vector<HeapRange> saved;
  may_stay_.store(0, std::memory_order_relaxed);
  auto written = write_state(commands, saved);
  const bool has_left = written.has_value();
  leaving.done(std::move(written));
  if (has_left) stand_still();
  journal_.begin_state();
  outbox_.release();
}

/// The session is another worker's, or soon ours again.
void Executor::stand_still() {
  while (may_stay_.load(std::memory_order_acquire) == 0 && !commands_.closed())
    protocol::futex_wait(&may_stay_, 0, 1'000'000'000);
}

Result<Executor::HandedOver> Executor::write_state(const std::vector<OpenCommand>& commands, std::vector<HeapRange>& saved) {
  journal_.begin_state();
  auto copied = save_regions(saved);
  if (!copied) return std::unexpected(std::move(copied.error()));
  write_streams(commands);
  write_events(commands);
  for (const OpenCommand& command : commands) {
    const bool is_named = command.event != 0 && table_.find<EventObject>(command.event) != nullptr;
    journal_.state(
        PendingCommand{static_cast<uint16_t>(command.type), command.number, is_named, command.gate_is_told, command.frame});
  }
  if (!journal_.keeps()) return fail(Code::kUnsupported, "the session has no journal");
  if (journal_.full()) return fail(Code::kLimit, "the session's journal is over journal-bytes");
  return HandedOver{*copied, commands.size()};
}

/// Bytes that only the device has go into the heap.
Result<uint64_t> Executor::save_regions(std::vector<HeapRange>& saved) {
  std::unordered_set<RegionObject*> own;
  auto note = [&](RegionObject* region) {
    while (region->parent) region = region->parent.get();
    if (region->region && !region->under && (region->is_image || !region->context->shared)) own.insert(region);
  };
  table_.each([&](Object& object) {
    if (object.kind == Kind::kRegion) note(static_cast<RegionObject*>(&object));
  });
  teller_.each_open([&](const Flight& flight) {
    for (const Ref<Object>& held : flight.held)
      if (held->kind == Kind::kRegion) note(static_cast<RegionObject*>(held.get()));
  });
  uint64_t copied = 0;
  for (RegionObject* region : own) {
    if (region->is_image && region->extent[0] == 0)
      return fail(Code::kUnsupported, "an image with levels or samples cannot be moved");
    auto at = heap_.allocate(region->size);
    if (!at) return fail(Code::kOutOfMemory, "the session's heap has no room for the bytes of its device's memory");
    saved.emplace_back(heap_, *at);
    if (auto carried = carry(*region, *at, false); !carried) return std::unexpected(std::move(carried.error()));
    journal_.state(SavedRegion{region->recipe->id, *at});
    copied += region->size;
  }
  return copied;
}

void Executor::write_streams(const std::vector<OpenCommand>& commands) {
  std::unordered_map<protocol::ObjectId, std::vector<uint64_t>> open;
  for (const OpenCommand& command : commands) open[command.stream].push_back(command.number);
  std::unordered_set<StreamObject*> streams;  // also of those that the client has let go of
  teller_.each_open([&](const Flight& flight) { streams.insert(flight.stream.get()); });
  table_.each([&](Object& object) {
    if (object.kind == Kind::kStream) streams.insert(static_cast<StreamObject*>(&object));
  });
  for (StreamObject* each : streams) {
    StreamObject& stream = *each;
    std::lock_guard lock(stream.mutex);
    StreamState state{stream.id, stream.progress.sent(), stream.told, open[stream.id], {}, {}};
    std::ranges::sort(state.open);
    for (const auto& [number, by] : stream.progress.questions()) {
      state.asked.push_back(number);
      state.asked_by.push_back(static_cast<uint8_t>(by));
    }
    journal_.state(state);
  }
}

void Executor::write_events(const std::vector<OpenCommand>& commands) {
  std::unordered_set<protocol::ObjectId> open;
  for (const OpenCommand& command : commands) open.insert(command.event);
  table_.each_named([&](protocol::ObjectId id, Object& object) {
    if (object.kind != Kind::kEvent) return;
    auto& event = static_cast<EventObject&>(object);
    const bool waits = event.event != nullptr && event.is_user && users_.is_waiting(event.event);
    if (open.contains(id) || waits) {
      const uint8_t told = event.watched_told == nullptr ? uint8_t{0} : event.watched_told->load();
      if (const auto bits = static_cast<uint8_t>(event.watched & ~told); bits != 0) journal_.state(WatchedEvent{id, bits});
      return;
    }
    EndedEvent ended;
    ended.id = id;
    ended.context = event.context && event.context->recipe != nullptr ? event.context->recipe->id : 0;
    ended.is_user = event.is_user;
    ended.is_refused = event.event == nullptr;
    if (event.event != nullptr) {
      const south::Outcome outcome = event.event->poll();
      ended.status = std::min(outcome.status, 0);
      ended.times = outcome.times;
    }
    journal_.state(ended);
  });
}

}  // namespace amalgam::core
