// SPDX-License-Identifier: Apache-2.0
// The dispatcher: takes frames in batches, answers calls, and sleeps when there is nothing to do.
//
// Theory. A batch ends when the ring runs empty. Then the touched streams are flushed, and in-order ones are asked to say
// when they are done, so that the client learns of the end of its batch without asking. Before sleeping the dispatcher
// spins as protocol/link/spin.h says; the client's waiter does the same.
#include "core/session/execute/executor.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/assert.h"
#include "core/session/execute/dispatch.h"
#include "core/session/state/natives.h"

namespace amalgam::core {
namespace {

// The client does not say when it has read, so the dispatcher looks by the clock, less and less often.
constexpr uint64_t kFirstNapNs = 500'000, kLongestNapNs = 50'000'000;

bool may_start_threads(protocol::CommandType type) {
  using protocol::CommandType;
  switch (type) {
    case CommandType::kOpenDevice:
    case CommandType::kCreateSubDevices:
    case CommandType::kCreateContext:
    case CommandType::kCreateStream:
    case CommandType::kCreateModule:
    case CommandType::kBuildModule:
    case CommandType::kCompileModule:
    case CommandType::kLinkModule: return true;
    default: return false;
  }
}

std::byte* bytes_of(protocol::RingMemory* rings) { return reinterpret_cast<std::byte*>(rings); }

}  // namespace

Executor::Executor(ExecutorConfig config)
    : config_(std::move(config)), placer_(config_.placer != nullptr ? *config_.placer : nobody_),
      turnstile_(config_.grants, *config_.counters, config_.bell_fd),
      commands_(&config_.rings->command, bytes_of(config_.rings) + protocol::RingMemory::kCommandData, kCommandRingBytes),
      frame_(std::make_unique<protocol::Frame>()), journal_(config_.journal),
      outbox_(protocol::RingProducer(&config_.rings->completion,
                                     bytes_of(config_.rings) + protocol::RingMemory::kCompletionData, kCompletionRingBytes),
              journal_,
              [this] {
                if (config_.on_congested) config_.on_congested();
              }),
      output_(config_.output_fd, outbox_), deleter_([this] { poke(); }),
      heap_(config_.heap_fd, kStagingBytes, std::max(kStagingBytes, config_.heap_bytes & ~(Heap::kPage - 1))),
      copies_(heap_, *config_.budget, config_.reliable), mailbox_([this] { poke(); }), time_(turnstile_, *config_.counters),
      planner_({config_.grants, config_.plan_program,
                [this](std::function<void()> job, std::function<void()> after) {
                  auto work = [job = std::move(job)]() -> Result<void> {
                    job();
                    return {};
                  };
                  on_slow_lane({}, work, [after = std::move(after)](const Result<void>&) { after(); });
                }},
               table_, deleter_),
      pieces_({static_cast<uint32_t>(config_.devices.size()), planner_, turnstile_, time_, *config_.counters, mailbox_,
               users_, callbacks_}),
      teller_({outbox_, output_, turnstile_, time_, *config_.counters, journal_, [this] { wake_client(); }}) {
  AMALGAM_ASSERT(config_.counters != nullptr && config_.budget != nullptr);
  if (!config_.takes_over) journal_.begin();
  if (config_.reliable) journal_.log_commands();
}

Executor::~Executor() {
  close();
  users_.end_all(native::kOutOfResources);
  auto busy = [this] {
    return teller_.in_flight() != 0 || callbacks_.any() || lane_jobs_.load(std::memory_order_acquire) != 0;
  };
  while (busy()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  mailbox_.run();
  pieces_.clear();
  touched_.clear();
  table_.clear();
  deleter_.clear();
  if (heap_base_ != nullptr) ::munmap(heap_base_, config_.heap_bytes);
}

void Executor::close() {
  protocol::close_ring(&config_.rings->completion);
  protocol::close_ring(&config_.rings->command);
  turnstile_.wake();
}

Result<void> Executor::run() {
  dispatcher_ = std::this_thread::get_id();
  if (taken_over_) resume();
  uint64_t nap_ns = kFirstNapNs;
  for (;;) {
    if (take_interrupt()) deleter_.clear();
    if (has_waste_) clear_waste();
    const bool point = point_is_due();
    bool more = !leaving_ && !point && take_frames();
    if (broken_ != nullptr || outbox_.broken()) {
      const char* why = broken_ != nullptr ? broken_ : "the completion ring's index is a lie";
      outbox_.post(protocol::Fault{Code::kProtocol, why}, 0, std::strlen(why));
      close();
      return fail(Code::kProtocol, why);
    }
    feed();
    settle_batch();
    deleter_.clear();
    if (commands_.closed() && !more) return {};
    if (leaving_ || point) {
      leaving_ ? try_to_leave() : try_point();
      continue;
    }
    if (outbox_.congested()) {
      if (outbox_.flush()) continue;
      // No further command until the client reads: the queue is bounded by what is in flight already.
      std::this_thread::sleep_for(std::chrono::nanoseconds(nap_ns));
      nap_ns = std::min(2 * nap_ns, kLongestNapNs);
      continue;
    }
    nap_ns = kFirstNapNs;
    rest();
  }
}

void Executor::rest() {
  turnstile_.want_nothing();
  const uint64_t frozen_ns = turnstile_.frozen_ns();
  uint64_t most_ns = placer_.rest_begins(config_.counters->in_flight_now.load(std::memory_order_relaxed));
  if (journal_.logs() && journal_.has_log())
    most_ns = std::min(most_ns, clock_.due_ns() - std::min(clock_.due_ns(), protocol::monotonic_ns()));
  resting_.store(true, std::memory_order_seq_cst);
  // Who relays is woken by the program as soon as that has read, and would only be in its way.
  commands_.wait(placer_.relays() ? nullptr : &spin_, most_ns, &interrupt_);
  resting_.store(false, std::memory_order_seq_cst);
  const bool stopped = turnstile_.frozen_ns() != frozen_ns;
  placer_.rest_ends(outbox_.has_woken() ? commands_.woken_from() : std::nullopt, stopped);
}

bool Executor::take_frames() {
  using Next = protocol::RingConsumer::Next;
  while (!outbox_.congested() && broken_ == nullptr && interrupt_.load(std::memory_order_relaxed) == 0) {
    Next next = commands_.take(*frame_);
    if (next == Next::kEmpty) return false;
    if (next == Next::kBroken) {
      break_session("the command ring is malformed");
      return false;
    }
    config_.counters->commands.fetch_add(1, std::memory_order_relaxed);
    journal_.executing(commands_.taken(), frame_->header.call);
    if (!is_known_to_client(*frame_)) dispatch(*frame_);
    commands_.give_back();  // not before: whoever comes after us finds it there
    if (point_is_due()) return true;
  }
  return commands_.ready() && !outbox_.congested();
}

void Executor::settle_batch() {
  if (touched_.empty()) return;
  for (Ref<StreamObject>& stream : touched_) {
    stream->touched = false;
    stream->stream->flush();
    if (stream->in_order) teller_.ask_retired(*stream, Progress::Asked::kBatch);
  }
  touched_.clear();
}

void Executor::poke() {
  interrupt_.store(1, std::memory_order_seq_cst);
  if (std::this_thread::get_id() == dispatcher_) return;
  commands_.poke();
  turnstile_.wake();
}

void Executor::wake_client() {
  if (placer_.relays() && outbox_.has_news() && resting_.load(std::memory_order_relaxed)) {
    interrupt_.store(1, std::memory_order_seq_cst);
    // Either this sees that the rest has ended, or the dispatcher sees the interrupt before it takes another command.
    if (resting_.load(std::memory_order_seq_cst)) return commands_.poke();
  }
  outbox_.wake();
}

/// True if there was one.
bool Executor::take_interrupt() {
  if (interrupt_.load(std::memory_order_seq_cst) == 0) return false;
  interrupt_.store(0, std::memory_order_seq_cst);
  outbox_.wake();
  mailbox_.run();
  return true;
}

void Executor::break_session(const char* why) {
  if (broken_ == nullptr) broken_ = why;
}

void Executor::drain_output() {
  if (outbox_.congested()) return;
  if (output_.drain()) outbox_.wake();
}

void Executor::reply(uint32_t call, const Result<void>& result, std::span<const std::byte> payload) {
  if (call == 0 && note_verdict(result)) return;
  if (!result) config_.counters->errors.fetch_add(1, std::memory_order_relaxed);
  if (call == 0) return;
  open_builds_.erase(call);
  protocol::Reply answer;
  answer.payload = payload;
  constexpr size_t kLongestMessage = 4096;
  if (payload.size() + kLongestMessage + 256 > kMaxFrameBytes) answer.payload = {};
  if (!result) {
    answer.code = result.error().code;
    answer.native = result.error().native;
    answer.message = std::string_view(result.error().message).substr(0, kLongestMessage);
  } else if (answer.payload.size() != payload.size()) {
    answer.code = Code::kLimit;
    answer.message = "the answer is over frame-bytes: ask for it in the heap";
  }
  outbox_.post(answer, call, answer.message.size() + answer.payload.size());
  outbox_.wake();
}

Result<std::span<std::byte>> Executor::bulk(protocol::BulkRef ref) const {
  if (ref.size > config_.heap_bytes || ref.offset > config_.heap_bytes - ref.size || !heap_.accessible(ref.offset, ref.size))
    return fail(Code::kInvalidArgument, "bulk data lies outside of the heap", native::kInvalidValue);
  return std::span<std::byte>(heap_base_ + ref.offset, ref.size);
}

Result<std::vector<south::Device*>> Executor::devices_of(std::span<const protocol::ObjectId> ids,
                                                         std::vector<Ref<DeviceObject>>* held) {
  if (ids.size() > kMaxObjects) return fail(Code::kLimit, "too many devices", native::kInvalidValue);
  std::vector<south::Device*> out;
  for (protocol::ObjectId id : ids) {
    auto device = need<DeviceObject>(id);
    if (!device) return std::unexpected(std::move(device.error()));
    out.push_back((*device)->device);
    if (held != nullptr) held->emplace_back(*device);
  }
  return out;
}

void Executor::dispatch(const protocol::Frame& frame) {
  using protocol::CommandType;
  if (heap_base_ == nullptr && frame.command() != CommandType::kHello)
    return break_session("the first command is not Hello");
  if (may_start_threads(frame.command())) placer_.builds();
  log_frame(frame);
  switch (frame.command()) {
    case CommandType::kLaunch: return enqueue<protocol::Launch>(frame.payload(), frame.header.call);
    case CommandType::kTransfer: return enqueue<protocol::Transfer>(frame.payload(), frame.header.call);
    case CommandType::kFill: return enqueue<protocol::Fill>(frame.payload(), frame.header.call);
    case CommandType::kMarker: return enqueue<protocol::Marker>(frame.payload(), frame.header.call);
    case CommandType::kMigrate: return enqueue<protocol::Migrate>(frame.payload(), frame.header.call);
    case CommandType::kGate: return enqueue<protocol::Gate>(frame.payload(), frame.header.call);
    case CommandType::kNotify: return with<protocol::Notify>(frame, [&](auto& m, uint32_t) { notify(m); });
    case CommandType::kHello: return handle<protocol::Hello>(frame);
    case CommandType::kOpenDevice: return handle<protocol::OpenDevice>(frame);
    case CommandType::kCreateSubDevices: return handle<protocol::CreateSubDevices>(frame);
    case CommandType::kCreateContext: return handle<protocol::CreateContext>(frame);
    case CommandType::kCreateStream: return handle<protocol::CreateStream>(frame);
    case CommandType::kCreateRegion: return handle<protocol::CreateRegion>(frame);
    case CommandType::kCreateSubRegion: return handle<protocol::CreateSubRegion>(frame);
    case CommandType::kCreateImage: return handle<protocol::CreateImage>(frame);
    case CommandType::kCreateSampler: return handle<protocol::CreateSampler>(frame);
    case CommandType::kCreateUserEvent: return handle<protocol::CreateUserEvent>(frame);
    case CommandType::kCreateModule:
      return with<protocol::CreateModule>(frame, [&](auto& m, auto c) { create_module(m, c); });
    case CommandType::kBuildModule: return with<protocol::BuildModule>(frame, [&](auto& m, auto c) { build(m, c); });
    case CommandType::kCompileModule: return with<protocol::CompileModule>(frame, [&](auto& m, auto c) { compile(m, c); });
    case CommandType::kLinkModule: return with<protocol::LinkModule>(frame, [&](auto& m, auto c) { link(m, c); });
    case CommandType::kSetSpecConstant: return handle<protocol::SetSpecConstant>(frame);
    case CommandType::kCreateKernel: return handle<protocol::CreateKernel>(frame);
    case CommandType::kCloneKernel: return handle<protocol::CloneKernel>(frame);
    case CommandType::kSetArg: return handle<protocol::SetArg>(frame);
    case CommandType::kSetKernelExecInfo: return handle<protocol::SetKernelExecInfo>(frame);
    case CommandType::kQuery: return with<protocol::Query>(frame, [&](auto& m, auto c) { query(m, c); });
    case CommandType::kRelease: return handle<protocol::Release>(frame);
    case CommandType::kSignalEvent: return handle<protocol::SignalEvent>(frame);
    case CommandType::kWatchEvent: return handle<protocol::WatchEvent>(frame);
  }
  break_session("unknown command");
}

}  // namespace amalgam::core
