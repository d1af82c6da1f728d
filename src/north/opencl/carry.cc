// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/carry.h"

#include <algorithm>
#include <array>
#include <utility>

#include "north/opencl/private_stream.h"

namespace amalgam::opencl {
namespace {

constexpr size_t kLeastPiece = 256 * kKiB, kMostPiece = 4 * kMiB;
constexpr size_t kUnderWay = 3;  // one moves, one has come and is copied, one is next

/// A piece that is under way.
struct Slot {
  client::StagedBlock block;
  cl_event event = nullptr;
  size_t piece = 0;
};

class Pump {
 public:
  Pump(const Lane& lane, const WaitList& waits, const Carry& what)
      : lane_(lane), session_(*lane.context->session), waits_(waits), what_(what) {}
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;
  ~Pump() {
    for (Slot& slot : slots_) forget_event(slot.event);
    forget_event(last_);
  }

  /// All pieces; how it went.
  cl_int run() {
    for (size_t piece = 0; piece < what_.pieces && result_ == CL_SUCCESS; ++piece) {
      Slot& slot = slots_[piece % kUnderWay];
      settle(slot);
      if (result_ != CL_SUCCESS || !find_room(slot, piece)) break;
      start(slot, piece);
    }
    // Also after a failure: the others still use their blocks, and reads the program's memory.
    for (size_t i = 0; i < kUnderWay; ++i) settle(slots_[(next_ + i) % kUnderWay]);
    return result_;
  }
  cl_event take_last() { return std::exchange(last_, nullptr); }

 private:
  void fail(cl_int result) {
    if (result_ == CL_SUCCESS) result_ = result;
  }

  /// A block for the piece. Only who has none may wait for one.
  bool find_room(Slot& slot, size_t piece) {
    const size_t bytes = what_.bytes(piece);
    if (slot.block.ok() && slot.block.room() >= bytes) return true;
    slot.block = client::StagedBlock(session_.staging(), bytes);
    for (size_t i = 0; i < kUnderWay && !slot.block.ok(); ++i) {
      Slot& oldest = slots_[(next_ + i) % kUnderWay];
      settle(oldest);
      oldest.block = {};
      slot.block = client::StagedBlock(session_.staging(), bytes);
    }
    if (result_ != CL_SUCCESS) return false;
    if (!slot.block.ok()) slot.block = take_staging(session_, bytes);
    if (!slot.block.ok()) fail(session_.death_status());
    return result_ == CL_SUCCESS;
  }

  void start(Slot& slot, size_t piece) {
    if (!what_.reads) what_.copy(piece, slot.block.data());
    protocol::Transfer transfer = what_.transfer(piece, slot.block.offset());
    slot.piece = piece;
    next_ = (piece + 1) % kUnderWay;
    if (!session_.throttle()) return fail(session_.death_status());
    slot.event = make_event(lane_.context, lane_.queue, lane_.type);
    if (slot.event == nullptr) return fail(CL_OUT_OF_RESOURCES);
    // What has come back once needs to wait for nothing more.
    transfer.head = {lane_.stream.id, slot.event->id(),
                     last_ == nullptr ? waits_.ids() : std::span<const protocol::ObjectId>()};
    std::lock_guard lock(lane_.stream.mutex);
    cl_int sent = CL_SUCCESS;
    if (what_.checked && piece == 0) {
      if (auto verdict = session_.enqueue_checked(lane_.stream, transfer, slot.event); !verdict)
        sent = to_cl(verdict.error());
    } else if (!session_.enqueue(lane_.stream, transfer, slot.event)) {
      sent = session_.death_status();
    }
    if (sent == CL_SUCCESS) return;
    forget_event(std::exchange(slot.event, nullptr));
    fail(sent);
  }

  /// Waits for the piece that is under way in the slot, if one is.
  void settle(Slot& slot) {
    if (slot.event == nullptr) return;
    const bool alive = session_.wait(*slot.event);
    const int32_t status = slot.event->status();
    if (!alive)
      fail(session_.death_status());
    else if (status < 0)
      fail(status);
    if (what_.reads && result_ == CL_SUCCESS) what_.copy(slot.piece, slot.block.data());
    forget_event(std::exchange(last_, std::exchange(slot.event, nullptr)));
  }

  const Lane& lane_;
  client::Session& session_;
  const WaitList& waits_;
  const Carry& what_;
  std::array<Slot, kUnderWay> slots_;
  size_t next_ = 0;  ///< the slot of the next piece, which is the oldest
  cl_event last_ = nullptr;
  cl_int result_ = CL_SUCCESS;
};

/// Pieces at once, in the queue itself.
cl_int carry_now(const CarryCommand& command, WaitList& waits, const Carry& what, cl_event* event) {
  const Lane lane{command.queue->context, command.queue, command.type, *command.queue};
  if (what.reads) return pump(lane, waits, what, event);
  if (waits.failed()) return CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
  client::Session& session = *command.queue->session;
  if (!wait_for_turn(command.queue, waits, command.count, command.events))
    return session.dead() ? session.death_status() : CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
  return pump(lane, WaitList(), what, event);
}

/// When its turn has come, through a stream of the queue's own.
cl_int carry_later(const CarryCommand& command, const WaitList& waits, std::shared_ptr<const Carry> what, cl_event* event) {
  auto work = [command, what = std::move(what)]() -> int32_t {
    client::Stream* stream = carrier_of(command.queue);
    if (stream == nullptr) return command.queue->session->death_status();
    return pump({command.queue->context, nullptr, command.type, *stream}, WaitList(), *what, nullptr);
  };
  return gated_command(command.queue, waits, command.type, false, std::move(work), event);
}

/// One transfer with an event of its own, which the caller must drop.
cl_int transfer_once(const CarryCommand& command, const WaitList& waits, const Carry& what, uint64_t offset,
                     cl_event* event) {
  protocol::Transfer transfer = what.transfer(0, offset);
  return submit(command.queue, transfer, waits, command.type, event, what.checked);
}

/// A write of one piece whose block is there.
cl_int write_once(const CarryCommand& command, WaitList& waits, const std::shared_ptr<const Carry>& what,
                  const std::shared_ptr<client::StagedBlock>& block, cl_event* event) {
  cl_event filled = nullptr, made = nullptr;
  // The block is held by the copy too: it may run although the transfer behind it could not be sent.
  auto fill = [what, block, at = block->data()] {
    what->copy(0, at);
    return 0;
  };
  cl_int result = host_command(command.queue, waits, 0, nullptr, command.type, false, std::move(fill), &filled);
  if (result != CL_SUCCESS) return result;
  WaitList after;
  result = after.take_own(filled);
  drop_event(filled);
  if (result == CL_SUCCESS) result = transfer_once(command, after, *what, block->offset(), &made);
  if (result != CL_SUCCESS) return result;
  client::Session& session = *command.queue->session;
  made->when(client::kComplete, [&session, ref = block->release()](int32_t) { session.staging().give_back(ref); });
  if (event != nullptr)
    *event = made;
  else
    drop_event(made);
  return CL_SUCCESS;
}

cl_int read_once(const CarryCommand& command, WaitList& waits, const std::shared_ptr<const Carry>& what,
                 const std::shared_ptr<client::StagedBlock>& block, cl_event* event) {
  cl_event landed = nullptr;
  if (cl_int bad = transfer_once(command, waits, *what, block->offset(), &landed); bad != CL_SUCCESS) return bad;
  WaitList after;
  cl_int result = after.take_own(landed);
  auto take = [what, block] {
    what->copy(0, block->data());
    return 0;
  };
  if (result == CL_SUCCESS)
    result = host_command(command.queue, after, 1, &landed, command.type, false, std::move(take), event);
  drop_event(landed);
  return result;
}

}  // namespace

size_t piece_bytes(size_t size) {
  if (size <= kLeastPiece) return size;
  const size_t eighth = size / 8 / kLeastPiece * kLeastPiece;
  return std::clamp(eighth, kLeastPiece, kMostPiece);
}

client::StagedBlock take_staging(client::Session& session, size_t size) {
  client::StagedBlock block(session.staging(), size);
  if (block.ok() || size > session.staging().capacity()) return block;
  session.wait_until([&] {
    if (!block.ok()) block = client::StagedBlock(session.staging(), size);
    return block.ok();
  });
  return block;
}

cl_int pump(const Lane& lane, const WaitList& waits, const Carry& what, cl_event* out) {
  Pump pump(lane, waits, what);
  const cl_int result = pump.run();
  if (result == CL_SUCCESS && out != nullptr) *out = pump.take_last();
  return result;
}

cl_int carry_content(cl_mem mem, const Carry& what) {
  PrivateStream own(mem->context, mem->context->devices[0]);
  if (own.state() != CL_SUCCESS) return own.state();
  return pump({mem->context, nullptr, CL_COMMAND_WRITE_BUFFER, own.stream()}, WaitList(), what, nullptr);
}

cl_int carry(const CarryCommand& command, WaitList& waits, const std::shared_ptr<const Carry>& what, cl_event* event) {
  client::Session& session = *command.queue->session;
  if (session.dead()) return session.death_status();
  if (command.blocking) return carry_now(command, waits, *what, event);
  if (what->pieces == 1) {
    auto block = std::make_shared<client::StagedBlock>(session.staging(), what->bytes(0), client::Staging::Part::kHalf);
    if (block->ok()) return (what->reads ? read_once : write_once)(command, waits, what, block, event);
  }
  return carry_later(command, waits, what, event);
}

}  // namespace amalgam::opencl
