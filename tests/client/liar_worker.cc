// SPDX-License-Identifier: Apache-2.0
#include "tests/client/liar_worker.h"

namespace amalgam::liar {

LyingWorker::LyingWorker(Liar& liar, uint64_t told_before, int ring_fd, int heap_fd, UniqueFd socket)
    : Worker(ring_fd, heap_fd, std::move(socket), {true, false}), liar_(liar), told_before_(told_before) {}

void LyingWorker::say(p::CompletionType type, uint32_t call, std::span<const std::byte> payload) {
  if (liar_.script && liar_.script(*this, type, call, payload)) return;
  Liar::Turn turn = liar_.turn(About::kCompletions);
  if (turn.choices == nullptr) return put(type, call, payload);
  Choices& lies = *turn.choices;
  if (rate_ == 1) {  // the first time: how far the program is to come, and how often it is lied to from there
    honest_left_ = lies.byte();
    rate_ = 2 + lies.below(6);
  }
  if (honest_left_ > 0) --honest_left_;
  if (honest_left_ > 0 || lies.below(rate_) != 0) return put(type, call, payload);
  liar_.count();
  lie(lies, type, call, payload);
}

void LyingWorker::lie(Choices& lies, p::CompletionType type, uint32_t call, std::span<const std::byte> payload) {
  std::vector<std::byte> bytes(payload.begin(), payload.end());
  switch (lies.below(16)) {
    case 0: return put(static_cast<p::CompletionType>(lies.below(16)), call, payload);
    case 1: return put(type, static_cast<uint32_t>(lies.below(2) == 0 ? call + lies.byte() : lies.word()), payload);
    case 2: return;
    case 3: put(type, call, payload); return put(type, call, payload);
    case 4:
    case 5: forge(lies); return put(type, call, payload);
    case 6: put(type, call, payload); return forge(lies);
    case 7:
      for (int i = 0; i < 6000; ++i) put(p::CompletionType::kEventStatus, 0, std::vector<std::byte>(16));
      return put(type, call, payload);
    case 8: scribble(lies); return put(type, call, payload);
    case 9: put(type, call, payload); return scribble(lies);
    default: break;
  }
  garble(lies, bytes, kHeapBytes);
  put(type, call, bytes);
}

p::ObjectId LyingWorker::some_id(Choices& lies) const {
  p::ObjectId id = seen_.empty() ? 0 : seen_[seen_.size() - 1 - lies.below(std::min<size_t>(seen_.size(), 256))];
  if (lies.below(4) == 0) id += lies.below(4);  // one that is made next
  return lies.below(16) == 0 ? lies.word() : id;
}

void LyingWorker::forge(Choices& lies) {
  const auto status = static_cast<int32_t>(lies.below(2) == 0 ? 0 : lies.edge(kHeapBytes));
  switch (lies.below(8)) {
    case 0:
    case 1:
    case 2: {
      p::EventDone done{some_id(lies), status, some_id(lies), lies.edge(kHeapBytes), {}};
      done.times.ended = lies.edge(kHeapBytes);
      return put_message(done);
    }
    case 3: return put_message(p::GateReady{some_id(lies), status});
    case 4: return put_message(p::StreamRetired{some_id(lies), lies.edge(kHeapBytes)});
    case 5: return put_message(p::EventStatus{some_id(lies), status});
    case 6: return put_message(p::Output{static_cast<uint32_t>(lies.below(2) == 0 ? lies.below(8) : 100), "printed"});
    default: {
      std::vector<std::byte> payload(lies.below(64), std::byte{lies.byte()});
      auto code = static_cast<Code>(lies.below(3) == 0 ? lies.byte() : 0);
      return put_message(p::Reply{code, status, "forged", payload}, last_call_ + static_cast<uint32_t>(lies.below(3)));
    }
  }
}

void LyingWorker::scribble(Choices& lies) {
  p::RingControl& control = rings_->completion;
  const uint64_t value = lies.edge(kHeapBytes);
  auto* data = reinterpret_cast<std::byte*>(rings_) + p::RingMemory::kCompletionData;
  switch (lies.below(7)) {
    case 0: control.head.store(value); break;
    case 1: control.head.fetch_add(lies.below(256)); break;
    case 2: rings_->command.tail.store(value); break;
    case 3: rings_->command.tail.fetch_sub(lies.below(256)); break;
    case 4: control.closed.store(static_cast<uint32_t>(value)); break;
    case 5: control.sleeping.store(static_cast<uint32_t>(value)); break;
    case 6: {
      uint64_t at = control.tail.load() % kCompletionRingBytes / p::kFrameAlign * p::kFrameAlign;
      std::memcpy(data + at, &value, sizeof value);
      break;
    }
  }
}

}  // namespace amalgam::liar
