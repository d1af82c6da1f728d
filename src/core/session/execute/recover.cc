// SPDX-License-Identifier: Apache-2.0
// What a reliable session does for whoever comes after its worker, and how that one executes again what was logged.
//
// Theory. Regions are as they were at the point, since another driver's memory was never shared with anybody; so what was
// done to them since is done again, by the same code, in the same order. Three things are not done again: what the client
// has heard (recovery_log.h), what a command has put into the heap if it had ended (the client may have read it, and use the
// place for something else), and a refusal. What a command took from the heap is there still, or was kept when it ended.
//
// A kernel whose result depends on chance (the order of atomics on floats) may give another of its results.
#include <algorithm>
#include <cstdio>
#include <thread>

#include "core/session/execute/enqueue.h"
#include "core/session/execute/open_command.h"
#include "core/session/execute/rebuilding.h"
#include "core/session/state/settled_event.h"

namespace amalgam::core {
namespace {

using protocol::CommandType;

/// Commands that are logged as they come. Enqueues log themselves, creations are in the journal, questions change nothing.
bool is_logged_whole(CommandType type) {
  switch (type) {
    case CommandType::kNotify:
    case CommandType::kRelease:
    case CommandType::kSignalEvent:
    case CommandType::kWatchEvent:
    case CommandType::kBuildModule:
    case CommandType::kCompileModule:
    case CommandType::kLinkModule: return true;
    default: return false;
  }
}

bool gives_to_heap(const PendingCommand& command) {
  protocol::Transfer transfer;
  return static_cast<CommandType>(command.type) == CommandType::kTransfer && protocol::decode(command.frame, transfer) &&
         transfer.to.kind == protocol::Endpoint::Kind::kHeap;
}

}  // namespace

void Executor::log_frame(const protocol::Frame& frame) {
  if (!journal_.logs() || !is_logged_whole(frame.command())) return;
  PendingCommand command;
  command.type = frame.header.type;
  command.frame = frame.payload();
  journal_.command(command);
  note_open_build(frame.header.type, frame.header.call, frame.payload());
}

void Executor::note_open_build(uint16_t type, uint32_t call, std::span<const std::byte> frame) {
  if (call != 0 && is_replied_later(type)) open_builds_[call] = {type, {frame.begin(), frame.end()}};
}

/// Before the driver has it: from then on somebody may hear of it.
void Executor::log(Ticket& ticket) {
  if (!journal_.logs() || rebuilding_ != nullptr || ticket.is_logged) return;
  ticket.is_logged = true;
  const Flight& flight = *ticket.flight;
  journal_.command({flight.type, ticket.number, true, false, flight.kept, flight.kept_bytes, flight.frame});
}

/// What a write takes from the heap will be kept when it ends. If it had ended before it is taken from there.
void Executor::keep(const HeapBox& box, Ticket& ticket, south::Place& from) {
  const protocol::ObjectId stream = ticket.stream->id;
  Flight& flight = *ticket.flight;
  if (rebuilding_ != nullptr && rebuilding_->pending->kept != 0) {
    flight.kept = rebuilding_->pending->kept;
    if (auto there = copies_.restore_kept(stream, ticket.number, flight.kept, box.bytes); !there)
      return be_unreliable(there.error().message);
  } else {
    auto kept = copies_.keep(stream, ticket.number, box.bytes);
    if (!kept) return be_unreliable(kept.error().message);
    flight.kept = *kept;
  }
  flight.kept_bytes = box.bytes;
  std::byte* const bytes = heap_base_ + flight.kept;
  if (rebuilding_ != nullptr && rebuilding_->was_done) {
    from.heap = bytes - (heap_base_ + box.begin - from.heap);
    return;
  }
  flight.keep_from = heap_base_ + box.begin;
  flight.keep_at = bytes;
  flight.keep_bytes = box.bytes;
}

// ---- the worker after ----------------------------------------------------------------------------------------------------

void Executor::recover(JournalCopy& copy) {
  log_.emplace(copy, config_.rings->completion.head.load(std::memory_order_acquire));
}

/// The first command that is found in the ring: its worker may have died between the reply and giving its space back.
bool Executor::is_known_to_client(const protocol::Frame& frame) {
  if (!log_) return false;
  const bool known = frame.header.call != 0 && log_->is_told(frame.header.call);
  log_.reset();
  return known;
}

void Executor::replay() {
  for (uint64_t sequence : log_->annulled()) journal_.annul(sequence);
  output_.skip(log_->printed());
  is_replaying_ = true;
  for (const Record& record : log_->records()) {
    // What ran one after the other may all be under way at once now.
    while (teller_.in_flight() >= kMaxInFlight / 2 && broken_ == nullptr && !commands_.closed()) go_round();
    if (broken_ != nullptr || commands_.closed()) return;
    again(record);
  }
  is_replaying_ = false;
  // What has brought this worker here may come again: it begins with a point of its own.
  clock_ = PointClock(PointClock::kMinuteNs);
  point_from_ns_ = protocol::monotonic_ns();
  point_until_ns_ = point_from_ns_ + kHandOverMs * 1'000'000;
}

/// Objects that had gone by then may still be used here. False: nothing will end by itself.
bool Executor::await_some_end() {
  std::vector<OpenCommand> commands = open_commands();
  if (all_are_held_up(commands) || broken_ != nullptr || commands_.closed()) return false;
  go_round();
  return true;
}

/// One turn of what else the dispatcher does.
void Executor::go_round() {
  feed();
  settle_batch();
  if (!take_interrupt()) std::this_thread::sleep_for(kLook);
  deleter_.clear();
}

void Executor::again(const Record& record) {
  if (record.kind == RecordKind::kCommand) {
    PendingCommand command;
    if (!protocol::decode(record.payload, command)) return break_session("a logged command is malformed");
    return again(record, command);
  }
  if (record.kind == RecordKind::kTold) {
    Told told;
    if (protocol::decode(record.payload, told)) await_again(told);
    return;
  }
  Result<void> made = remake(record);
  while (!made && await_some_end()) made = remake(record);
  if (!made) {
    std::fprintf(stderr, "amalgam-worker: %s\n", made.error().text().c_str());
    return break_session("an object that was logged cannot be made again");
  }
  if (record.kind == RecordKind::kMade) journal_.lives(record.id);
}

void Executor::again(const Record& record, const PendingCommand& command) {
  auto as = [&](auto message, auto act) {
    protocol::decode(command.frame, message) ? act(message) : break_session("a logged command is malformed");
  };
  const bool is_told = log_->is_told(record.call);
  if (!is_told) note_open_build(command.type, record.call, command.frame);
  switch (static_cast<CommandType>(command.type)) {
    case CommandType::kNotify: return as(protocol::Notify{}, [&](auto& m) { notify(m); });
    case CommandType::kRelease: return as(protocol::Release{}, [&](auto& m) { (void)execute(m); });
    case CommandType::kSignalEvent: return as(protocol::SignalEvent{}, [&](auto& m) { (void)execute(m); });
    case CommandType::kWatchEvent: return as(protocol::WatchEvent{}, [&](auto& m) { (void)execute(m); });
    // One that the client knows of is in the journal, if it has changed anything.
    case CommandType::kBuildModule:
      return as(protocol::BuildModule{}, [&](auto& m) { is_told ? void() : build(m, record.call); });
    case CommandType::kCompileModule:
      return as(protocol::CompileModule{}, [&](auto& m) { is_told ? void() : compile(m, record.call); });
    case CommandType::kLinkModule:
      return as(protocol::LinkModule{}, [&](auto& m) { is_told ? void() : link(m, record.call); });
    default: break;
  }
  const Result<void> verdict = again(command, true);
  if (record.call != 0 && !is_told) reply(record.call, verdict);
}

/// What the client was told before it went on has to be so again.
void Executor::await_again(const Told& told) {
  auto is_so = [&] {
    if (told.type == protocol::CompletionType::kGateReady) {
      bool reached = true;
      teller_.each_open([&](const Flight& flight) {
        if (flight.event == told.key && flight.gate_report != nullptr) reached = flight.gate_report->reached.load();
      });
      return reached;
    }
    auto* stream = table_.find<StreamObject>(told.key);
    if (stream == nullptr) return true;
    std::lock_guard lock(stream->mutex);
    const bool all = stream->in_order || told.type == protocol::CompletionType::kStreamRetired;
    return all ? stream->progress.retired() >= told.number : stream->progress.has_ended(told.number);
  };
  while (!is_so() && broken_ == nullptr && !commands_.closed()) go_round();
}

/// Its place may still be that of an object which had gone by then.
bool Executor::find_kept(protocol::ObjectId stream, const PendingCommand& command) {
  auto there = copies_.restore_kept(stream, command.number, command.kept, command.kept_bytes);
  while (!there && await_some_end()) there = copies_.restore_kept(stream, command.number, command.kept, command.kept_bytes);
  return there.has_value();
}

/// `is_new`: it was sent after the point.
Result<void> Executor::again(PendingCommand command, bool is_new) {
  protocol::Enqueue head;
  if (!protocol::decode(command.frame, head)) {
    break_session("a logged command is malformed");
    return {};
  }
  const DoneCommand* done = log_->done(head.stream, command.number);
  if (done != nullptr && (done->was_refused || gives_to_heap(command))) {
    const auto* stream = table_.find<StreamObject>(head.stream);
    const bool has_order = stream != nullptr && (stream->in_order || !head.waits.empty());
    if (!done->was_refused && done->status >= 0 && has_order) return mark_again(head, command, is_new);
    settle_again(head, *done, is_new);
    if (done->was_refused) return fail(Code::kDriver, "the command was refused", done->status);
    return {};
  }
  if (command.kept != 0 && !find_kept(head.stream, command)) {
    break_session("what a logged write took is nowhere");
    return {};
  }
  command.gate_is_told |= log_->is_gate_told(head.event);
  return enqueue_again(command, is_new, done != nullptr);
}

/// Its bytes are where they were to go, but others come after it, and it after others: a marker in its place.
Result<void> Executor::mark_again(const protocol::Enqueue& head, const PendingCommand& command, bool is_new) {
  const protocol::Marker marker{head, protocol::MarkerKind::kMarker};
  std::vector<std::byte> frame(protocol::encoded_size(marker));
  frame.resize(protocol::encode(marker, frame));
  PendingCommand instead = command;
  instead.type = static_cast<uint16_t>(CommandType::kMarker);
  instead.kept = 0;
  instead.frame = frame;
  return enqueue_again(instead, is_new, false);
}

/// It has been: its number and its event are what is left of it.
void Executor::settle_again(const protocol::Enqueue& head, const DoneCommand& done, bool is_new) {
  auto* stream = table_.find<StreamObject>(head.stream);
  if (stream == nullptr) return break_session("a logged command is of no queue");
  if (is_new) {
    std::lock_guard lock(stream->mutex);
    if (stream->progress.start() != done.number) return break_session("the log's numbers are no order");
  }
  const south::Outcome outcome{done.status, done.times};
  if (head.event != 0) {
    auto event = make_object<EventObject>(deleter_);
    event->context = stream->context;
    event->is_settled = !done.was_refused;
    if (!done.was_refused) event->event = std::make_shared<SettledEvent>(outcome);
    if (!table_.insert(head.event, std::move(event))) return break_session("a logged event's name is taken");
  }
  teller_.refused(*stream, done.number, head.event, outcome);
  outbox_.wake();
}

}  // namespace amalgam::core
