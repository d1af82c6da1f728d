// SPDX-License-Identifier: Apache-2.0
// A session's points: everything that can end ends, the rest is written into the journal.
//
// Theory. Some commands cannot end now: those that wait, directly or not, for a user event or a gate that only the program
// can end, and that reaches us through the ring, which is not read meanwhile. They have not begun, so another worker can be
// given them as they came. Everything else ends by itself; a kernel that takes too long puts the point off.
//
// A session that moves takes one and leaves (hand_over.cc). A reliable session takes them by the clock (point_clock.h), and
// when its log or what it keeps of writes has grown too large; in between everything is logged (journal.h), so whatever
// becomes of this worker, another one finds the bytes of the last point and what was done to them since (recover.cc).
#include <algorithm>
#include <cstdio>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "core/session/execute/enqueue.h"
#include "core/session/execute/open_command.h"

namespace amalgam::core {
namespace {

constexpr uint64_t kPatienceNs = 100'000'000;          ///< of a point that only the clock wants
constexpr uint64_t kPatienceInNeedNs = 1'000'000'000;  ///< and of one without which there will be no room
constexpr uint64_t kRetryNs = 1'000'000'000;

}  // namespace

std::vector<Executor::OpenCommand> Executor::open_commands() {
  std::vector<OpenCommand> open;
  teller_.each_open([&](const Flight& flight) {
    OpenCommand& command = open.emplace_back();
    command.type = static_cast<protocol::CommandType>(flight.type);
    command.stream = flight.stream->id;
    command.in_order = flight.stream->in_order;
    command.event = flight.event;
    command.number = flight.number;
    command.kept = flight.kept;
    command.kept_bytes = flight.kept_bytes;
    command.gate_is_told = flight.gate_report != nullptr && flight.gate_report->told.load();
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

/// True if all that can end has ended and has been told, or is queued in the outbox, which is held then.
bool Executor::come_to_rest(std::vector<OpenCommand>& commands) {
  drain_output();
  (void)outbox_.flush();
  commands = open_commands();
  // Builds are not waited for where this worker goes on: until their reply they are commands like any other (carry()).
  const bool may_build = !leaving_ || lane_jobs_.load(std::memory_order_acquire) == 0;
  const bool is_quiet = may_build && interrupt_.load() == 0 && settling_.load() == 0;
  if (is_quiet && all_are_held_up(commands) && watchers_are_told(commands) && outbox_.hold()) {
    // What ended until the outbox was held has been told, or is queued there.
    if (settling_.load() == 0 && outbox_.waiting() == 0 && open_commands().size() == commands.size()) return true;
  }
  outbox_.release();
  return false;
}

/// Whether no further command is taken until there was a point.
bool Executor::point_is_due() {
  if (!journal_.logs() || !journal_.has_log()) return false;
  if (point_until_ns_ != 0) return true;
  const uint64_t most_kept = config_.quota_bytes == 0 ? kKeptBytes : std::min(kKeptBytes, config_.quota_bytes / 8);
  const bool is_needed = journal_.wants_point() || copies_.kept_bytes() > most_kept;
  const uint64_t now = protocol::monotonic_ns();
  if (is_needed ? now < point_retry_ns_ : !clock_.is_due(now)) return false;
  point_from_ns_ = now;
  point_until_ns_ = now + (is_needed ? kPatienceInNeedNs : kPatienceNs);
  return true;
}

void Executor::try_point() {
  std::vector<OpenCommand> commands;
  if (come_to_rest(commands)) {
    auto taken = take_point(commands);
    outbox_.release();
    if (!taken) be_unreliable(taken.error().message);
    clock_.taken(std::exchange(point_from_ns_, 0), protocol::monotonic_ns());
    point_until_ns_ = 0;
    return;
  }
  if (protocol::monotonic_ns() < point_until_ns_) return std::this_thread::sleep_for(kLook);
  point_until_ns_ = 0;
  point_retry_ns_ = protocol::monotonic_ns() + kRetryNs;
  clock_.missed(protocol::monotonic_ns());
}

/// Nothing that is legal is refused for want of room for copies; the session is one like any other then.
void Executor::be_unreliable(const std::string& why) {
  if (!journal_.logs()) return;
  std::fprintf(stderr, "amalgam-worker: the session is not reliable any more: %s\n", why.c_str());
  journal_.give_up();
  std::set<std::pair<protocol::ObjectId, uint64_t>> copying;  // now, by a driver's thread
  teller_.each_open([&](const Flight& flight) {
    if (flight.kept != 0 && flight.keep_bytes.exchange(0) == 0) copying.emplace(flight.stream->id, flight.number);
  });
  copies_.discard();
  copies_.commit([&](protocol::ObjectId stream, uint64_t number) { return copying.contains({stream, number}); });
  has_waste_ = !copying.empty();
}

/// The last of what was kept for another worker, which will never ask for it.
void Executor::clear_waste() {
  if (teller_.in_flight() != 0) return;
  copies_.clear();
  has_waste_ = false;
}

Result<Executor::HandedOver> Executor::take_point(const std::vector<OpenCommand>& commands) {
  if (!journal_.keeps()) return fail(Code::kUnsupported, "the session has no journal");
  journal_.begin_point();
  std::vector<RegionObject*> saved;
  auto copied = save_regions(saved);
  if (copied) {
    write_streams(commands);
    write_events(commands);
    write_pending(commands);
    for (const auto& [call, build] : open_builds_)
      journal_.carry(PendingCommand{.type = build.type, .frame = build.frame}, call);
    if (!journal_.end_point()) copied = fail(Code::kLimit, "the session's journal is over journal-bytes");
  }
  if (!copied) {
    copies_.discard();
    return std::unexpected(std::move(copied.error()));
  }
  std::set<std::pair<protocol::ObjectId, uint64_t>> open;
  for (const OpenCommand& command : commands) open.emplace(command.stream, command.number);
  copies_.commit([&](protocol::ObjectId stream, uint64_t number) { return open.contains({stream, number}); });
  for (RegionObject* region : saved) region->is_written = false;
  teller_.each_open([](const Flight& flight) { note_written(flight); });  // what is held up runs after the point
  config_.counters->points.fetch_add(1, std::memory_order_relaxed);
  return HandedOver{*copied, commands.size()};
}

/// Every region of a device's own memory, also of those that only open commands use any more.
std::unordered_set<RegionObject*> Executor::own_regions() {
  std::unordered_set<RegionObject*> own;
  auto note = [&](Object& object) {
    if (object.kind != Kind::kRegion) return;
    RegionObject& region = whole_of(static_cast<RegionObject&>(object));
    if (region.region && !region.under && (region.is_image || !region.context->shared)) own.insert(&region);
  };
  table_.each(note);
  teller_.each_open([&](const Flight& flight) {
    for (const Ref<Object>& held : flight.held) note(*held);
  });
  return own;
}

/// Bytes that only the device has go into the heap, unless they lie there as they are.
Result<uint64_t> Executor::save_regions(std::vector<RegionObject*>& saved) {
  uint64_t copied = 0;
  for (RegionObject* region : own_regions()) {
    const protocol::ObjectId id = region->recipe->id;
    if (config_.reliable && !region->is_written) {
      if (auto at = copies_.of(id)) {
        journal_.state(SavedRegion{id, *at});
        copies_.stays(id);
      }
      continue;
    }
    if (region->is_image && region->extent[0] == 0)
      return fail(Code::kUnsupported, "an image with levels or samples cannot be copied");
    auto at = copies_.draft(id, region->size);
    if (!at) return std::unexpected(std::move(at.error()));
    if (auto carried = carry(*region, *at, false); !carried) return std::unexpected(std::move(carried.error()));
    journal_.state(SavedRegion{id, *at});
    saved.push_back(region);
    copied += region->size;
  }
  return copied;
}

void Executor::write_pending(const std::vector<OpenCommand>& commands) {
  for (const OpenCommand& command : commands) {
    const bool is_named = command.event != 0 && table_.find<EventObject>(command.event) != nullptr;
    journal_.state(PendingCommand{static_cast<uint16_t>(command.type), command.number, is_named, command.gate_is_told,
                                  command.kept, command.kept_bytes, command.frame});
  }
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
