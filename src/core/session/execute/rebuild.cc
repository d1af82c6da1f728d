// SPDX-License-Identifier: Apache-2.0
// A session is made again from its journal, by the code that made it first, and takes over what was under way.
//
// Theory. Records are replayed in their order, with the ids that they had. Names that were free again by then stay findable
// until the end (ObjectTable's replay), as later records may need the object: a kernel's module, what a program was linked
// from. Builds are waited for one by one.
#include <condition_variable>
#include <cstring>
#include <thread>
#include <unordered_set>

#include "core/session/execute/rebuilding.h"
#include "core/session/state/settled_event.h"

namespace amalgam::core {
namespace {

using protocol::CommandType;

std::string what_was(CommandType type) {
  switch (type) {
    case CommandType::kHello: return "the heap's place";
    case CommandType::kOpenDevice: return "a device";
    case CommandType::kCreateSubDevices: return "parts of a device";
    case CommandType::kCreateContext: return "a context";
    case CommandType::kCreateStream: return "a queue";
    case CommandType::kCreateRegion:
    case CommandType::kCreateSubRegion: return "a buffer";
    case CommandType::kCreateImage: return "an image";
    case CommandType::kCreateSampler: return "a sampler";
    case CommandType::kCreateUserEvent: return "a user event";
    case CommandType::kCreateModule:
    case CommandType::kBuildModule:
    case CommandType::kCompileModule:
    case CommandType::kLinkModule:
    case CommandType::kSetSpecConstant: return "a program";
    case CommandType::kCreateKernel:
    case CommandType::kSetKernelExecInfo: return "a kernel";
    default: return "an object";
  }
}

template <typename M>
Result<void> without_value(const Result<M>& result) {
  if (result) return {};
  return std::unexpected(result.error());
}

/// Waits for an event that the driver will end by itself.
Result<void> await(south::Event& event) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable ended;
    std::optional<int32_t> status;
  };
  auto shared = std::make_shared<Shared>();
  event.on_complete([shared](const south::Outcome& outcome) {
    std::lock_guard lock(shared->mutex);
    shared->status = outcome.status;
    shared->ended.notify_all();
  });
  std::unique_lock lock(shared->mutex);
  shared->ended.wait(lock, [&] { return shared->status.has_value(); });
  if (*shared->status >= 0) return {};
  return fail(Code::kDriver, "a region's bytes could not be copied", *shared->status);
}

}  // namespace

bool Executor::note_verdict(const Result<void>& result) {
  if (rebuilding_ == nullptr) return false;
  rebuilding_->verdict = result;
  return true;
}

/// Sources and pixels that come with a command.
Result<std::span<const std::byte>> Executor::input(protocol::BulkRef ref) const {
  if (rebuilding_ == nullptr || rebuilding_->in_heap) return bulk(ref);
  const auto& kept = rebuilding_->making.bulk;
  if (ref.size > kept.size() || ref.offset > kept.size() - ref.size)
    return fail(Code::kProtocol, "the journal lacks a command's data");
  return kept.subspan(ref.offset, ref.size);
}

void Executor::finish_builds() {
  do {
    while (lane_jobs_.load(std::memory_order_acquire) != 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    mailbox_.run();
  } while (lane_jobs_.load(std::memory_order_acquire) != 0);
}

/// What an image was made from is kept until the next point; behind that its pixels are.
Result<void> Executor::find_pixels(protocol::CreateImage& m) {
  if (m.host_data.size == 0) return {};
  if (!is_replaying_) {
    m.host_data = {};
    return {};
  }
  return copies_.restore_kept(m.id, 0, m.host_data.offset, m.host_data.size);
}

template <typename M>
Result<void> Executor::remake(std::span<const std::byte> frame) {
  M message;
  if (!protocol::decode(frame, message)) return fail(Code::kProtocol, "a record of the journal is malformed");
  if constexpr (std::is_same_v<M, protocol::CreateImage>) AMALGAM_TRY(find_pixels(message), "image");
  if constexpr (std::is_same_v<M, protocol::CreateModule>) {
    create_module(message, 0);
  } else if constexpr (std::is_same_v<M, protocol::BuildModule>) {
    build(message, 0);
  } else if constexpr (std::is_same_v<M, protocol::CompileModule>) {
    compile(message, 0);
  } else if constexpr (std::is_same_v<M, protocol::LinkModule>) {
    link(message, 0);
  } else {
    rebuilding_->in_heap = std::is_same_v<M, protocol::CreateImage>;
    return without_value(perform(message, frame));
  }
  finish_builds();
  return rebuilding_->verdict;
}

Result<void> Executor::remake(CommandType type, std::span<const std::byte> frame) {
  switch (type) {
    case CommandType::kHello: return remake<protocol::Hello>(frame);
    case CommandType::kOpenDevice: return remake<protocol::OpenDevice>(frame);
    case CommandType::kCreateSubDevices: return remake<protocol::CreateSubDevices>(frame);
    case CommandType::kCreateContext: return remake<protocol::CreateContext>(frame);
    case CommandType::kCreateStream: return remake<protocol::CreateStream>(frame);
    case CommandType::kCreateRegion: return remake<protocol::CreateRegion>(frame);
    case CommandType::kCreateSubRegion: return remake<protocol::CreateSubRegion>(frame);
    case CommandType::kCreateImage: return remake<protocol::CreateImage>(frame);
    case CommandType::kCreateSampler: return remake<protocol::CreateSampler>(frame);
    case CommandType::kCreateUserEvent: return remake<protocol::CreateUserEvent>(frame);
    case CommandType::kCreateModule: return remake<protocol::CreateModule>(frame);
    case CommandType::kBuildModule: return remake<protocol::BuildModule>(frame);
    case CommandType::kCompileModule: return remake<protocol::CompileModule>(frame);
    case CommandType::kLinkModule: return remake<protocol::LinkModule>(frame);
    case CommandType::kSetSpecConstant: return remake<protocol::SetSpecConstant>(frame);
    case CommandType::kCreateKernel: return remake<protocol::CreateKernel>(frame);
    case CommandType::kSetKernelExecInfo: return remake<protocol::SetKernelExecInfo>(frame);
    default: return fail(Code::kProtocol, "the journal has a record of no making");
  }
}

Result<void> Executor::remake(const Record& record) {
  if (record.kind == RecordKind::kReleased) {
    protocol::ObjectId id = 0;
    if (record.payload.size() >= sizeof id) std::memcpy(&id, record.payload.data(), sizeof id);
    (void)table_.erase(id);
    return {};
  }
  const auto type = static_cast<CommandType>(record.type);
  if (heap_base_ == nullptr && type != CommandType::kHello) return fail(Code::kProtocol, "the journal does not begin");
  Rebuilding now;
  if (!protocol::decode(record.payload, now.making)) return fail(Code::kProtocol, "a record of the journal is malformed");
  rebuilding_ = &now;
  Result<void> made = remake(type, now.making.frame);
  rebuilding_ = nullptr;
  if (record.kind == RecordKind::kMade && record.id != 0) remade_.push_back(record.id);
  if (made || !now.making.succeeded) return {};
  return std::unexpected(std::move(made.error()).within(what_was(type) + " cannot be made there"));
}

/// What has ended since the last time is not in the journal any more.
void Executor::let_go(const JournalCopy& copy) {
  std::unordered_set<protocol::ObjectId> there;
  for (const Record& record : copy.records)
    if (record.kind == RecordKind::kMade) there.insert(record.id);
  std::erase_if(remade_, [&](protocol::ObjectId id) {
    if (there.contains(id)) return false;
    table_.forget(id);
    return true;
  });
  deleter_.clear();
}

Result<void> Executor::rebuild(const JournalCopy& copy) {
  dispatcher_ = std::this_thread::get_id();
  table_.begin_replay();
  let_go(copy);
  for (const Record& record : copy.records) {
    const bool is_object =
        record.kind == RecordKind::kMade || record.kind == RecordKind::kChanged || record.kind == RecordKind::kReleased;
    if (!is_object || record.sequence <= rebuilt_to_) continue;
    AMALGAM_TRY(remake(record), "rebuild");
    rebuilt_to_ = record.sequence;
  }
  return {};
}

// ---- what was under way -------------------------------------------------------------------------------------------------

Result<void> Executor::restore(const StreamState& state) {
  auto* stream = table_.find<StreamObject>(state.id);
  if (stream == nullptr) return fail(Code::kProtocol, "the state of no queue");
  std::deque<Progress::Question> asked;
  for (size_t i = 0; i < std::min(state.asked.size(), state.asked_by.size()); ++i)
    asked.push_back({state.asked[i], static_cast<Progress::Asked>(std::min<uint8_t>(state.asked_by[i], 2))});
  std::lock_guard lock(stream->mutex);
  stream->told = state.told;
  if (!stream->progress.restore(state.sent, state.open, std::move(asked)))
    return fail(Code::kProtocol, "the state of a queue is none");
  return {};
}

Result<void> Executor::restore(const EndedEvent& state) {
  auto* event = table_.find<EventObject>(state.id);
  if (event == nullptr) {
    auto made = make_object<EventObject>(deleter_);
    made->context = Ref(table_.find<ContextObject>(state.context));
    if (auto inserted = table_.insert(state.id, made); !inserted) return inserted;
    event = made.get();
  }
  event->is_user = state.is_user;
  event->is_settled = !state.is_refused;
  event->event = state.is_refused ? nullptr : std::make_shared<SettledEvent>(south::Outcome{state.status, state.times});
  return {};
}

Result<void> Executor::restore(const SavedRegion& state) {
  auto* region = table_.find<RegionObject>(state.id);
  if (region == nullptr || !region->region) return fail(Code::kProtocol, "the bytes of no region");
  if (auto there = copies_.restore(state.id, state.heap_offset, region->size); !there) return there;
  return carry(*region, state.heap_offset, true);
}

/// Between a region of the device's own memory and a range of the heap, packed; waits for it.
Result<void> Executor::carry(RegionObject& region, uint64_t heap_offset, bool into_region) {
  ContextObject& context = *region.context;
  if (!heap_.accessible(heap_offset, region.size)) return fail(Code::kProtocol, "a region's bytes outside of the heap");
  auto stream = context.context->create_stream(*context.devices.front()->device, {});
  if (!stream) return std::unexpected(std::move(stream.error()));
  south::Place heap, device;
  heap.heap = heap_base_ + heap_offset;
  device.region = region.region.get();
  device.is_image = region.is_image;
  const std::array<uint64_t, 3> extent = region.is_image ? region.extent : std::array<uint64_t, 3>{region.size, 0, 0};
  auto made = (*stream)->transfer(into_region ? heap : device, into_region ? device : heap, false, extent, {});
  if (!made) return std::unexpected(std::move(made.error()));
  (*stream)->flush();
  return await(**made);
}

template <typename M>
Result<void> Executor::restore_as(const Record& record) {
  M message;
  if (!protocol::decode(record.payload, message)) return fail(Code::kProtocol, "a state in the journal is malformed");
  return restore(message);
}

Result<void> Executor::restore(const Record& record) {
  switch (static_cast<StateType>(record.type)) {
    case StateType::kStream: return restore_as<StreamState>(record);
    case StateType::kEnded: return restore_as<EndedEvent>(record);
    case StateType::kSaved: return restore_as<SavedRegion>(record);
    case StateType::kPending:
    case StateType::kWatched: return {};  // run() takes them over
  }
  return fail(Code::kProtocol, "the journal has a state of no kind");
}

Result<void> Executor::take_over(JournalCopy copy) {
  for (const Record& record : copy.records)
    if (record.kind == RecordKind::kState) AMALGAM_TRY(restore(record), "take over");
  if (!config_.reliable) copies_.clear();
  taken_over_ = std::move(copy);
  return {};
}

void Executor::begin_serving() {
  auto* rings = reinterpret_cast<std::byte*>(config_.rings);
  const uint64_t given_back = config_.rings->command.tail.load(std::memory_order_acquire);
  commands_ = protocol::RingConsumer(&config_.rings->command, rings + protocol::RingMemory::kCommandData, kCommandRingBytes,
                                     log_ ? std::max(given_back, log_->position()) : given_back);
  commands_.give_back();
  outbox_.begin(protocol::RingProducer(&config_.rings->completion, rings + protocol::RingMemory::kCompletionData,
                                       kCompletionRingBytes));
  config_.counters->in_flight_now.store(0, std::memory_order_relaxed);
  turnstile_.take_over();
}

void Executor::resume(const PendingCommand& command) {
  protocol::Enqueue head;
  if (!protocol::decode(command.frame, head)) return break_session("a pending command is malformed");
  if (log_)
    (void)again(command, false);
  else
    (void)enqueue_again(command, false, false);
  if (head.event != 0 && !command.is_named) (void)table_.erase(head.event);
}

/// The verdict on it.
Result<void> Executor::enqueue_again(const PendingCommand& command, bool is_new, bool was_done) {
  Rebuilding now;
  now.pending = &command;
  now.is_new = is_new;
  now.was_done = was_done;
  rebuilding_ = &now;
  switch (static_cast<CommandType>(command.type)) {
    case CommandType::kLaunch: enqueue<protocol::Launch>(command.frame, 0); break;
    case CommandType::kTransfer: enqueue<protocol::Transfer>(command.frame, 0); break;
    case CommandType::kFill: enqueue<protocol::Fill>(command.frame, 0); break;
    case CommandType::kMarker: enqueue<protocol::Marker>(command.frame, 0); break;
    case CommandType::kMigrate: enqueue<protocol::Migrate>(command.frame, 0); break;
    case CommandType::kGate: enqueue<protocol::Gate>(command.frame, 0); break;
    default: break_session("a pending command is none");
  }
  rebuilding_ = nullptr;
  return now.verdict;
}

void Executor::resume() {
  journal_.adopt(*taken_over_);
  for (const Record& record : taken_over_->records) {
    if (record.kind != RecordKind::kState || static_cast<StateType>(record.type) != StateType::kPending) continue;
    PendingCommand command;
    if (!protocol::decode(record.payload, command)) return break_session("a pending command is malformed");
    resume(command);
  }
  for (const Record& record : taken_over_->records) {
    if (record.kind != RecordKind::kState || static_cast<StateType>(record.type) != StateType::kWatched) continue;
    WatchedEvent watched;
    if (!protocol::decode(record.payload, watched)) return break_session("a watched event is malformed");
    for (int32_t status = 1; status <= EventObject::kMostStatus; ++status)
      if ((watched.bits & (1u << status)) != 0) (void)execute(protocol::WatchEvent{watched.id, status});
  }
  table_.end_replay();
  deleter_.clear();
  if (log_) replay();
  taken_over_.reset();
}

}  // namespace amalgam::core
