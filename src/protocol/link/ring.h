// SPDX-License-Identifier: Apache-2.0
// Ring: one-way byte ring of frames in memory that two processes share which do not trust each other.
//
//   producer: reserve(n) → write → commit()          consumer: next(frame) copies the frame out, then gives the space back
//   ┌── RingControl ──┐  ┌────────────── data, capacity a power of two ──────────────┐
//   │ head │tail│sleep│  │ … free … │ frame │ frame │ skip │            … free …      │
//   └─────────────────┘  └──────────▲ tail ────────────────▲ head ───────────────────┘
//
// Theory. One producer, one consumer (callers serialise their own side). head and tail are byte counts that only grow; each
// side keeps its own index privately and reads only the other's from shared memory, checking head - tail ≤ capacity, so a
// peer that scribbles can at worst end its own session. Even the index that one begins with may be scribbled: one that is
// between frames would have the last header reach beyond the data. A frame never wraps: a header of size 0 skips to the
// start.
//
// Wake-up. A consumer that finds nothing spins for a bounded time, yielding the processor on every turn (two-core machines:
// a spinner must not hold the processor that the peer needs), then raises `sleeping`, looks again and sleeps on a futex. A
// producer makes a system call only if `sleeping` is up: one wake for a batch. A futex wake costs 5–50 µs here, a yielding
// spin 0.3–1 µs.
//
// Rejected: eventfd + epoll (a system call a message), io_uring (not in seccomp profiles of many hosts), a lock-free MPMC
// ring (callers already hold a lock to number their frames).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/limits.h"
#include "protocol/codec.h"
#include "protocol/link/spin.h"
#include "protocol/waist/frame.h"

namespace amalgam::protocol {

inline constexpr uint64_t kFrameAlign = 16;  ///< every frame begins at a multiple

struct RingControl {
  alignas(64) std::atomic<uint64_t> head;      ///< bytes ever produced; written by the producer
  alignas(64) std::atomic<uint64_t> tail;      ///< bytes ever consumed; written by the consumer
  alignas(64) std::atomic<uint32_t> sleeping;  ///< 1: the consumer sleeps on it
  std::atomic<uint32_t> closed;                ///< 1: one side has ended; both stop waiting
  std::atomic<uint32_t> woken_from;            ///< the processor of the producer that woke the consumer last, plus one
};

/// How the ring memory of a session is laid out: the two controls in the first page, then the two data areas.
struct RingMemory {
  static constexpr uint64_t kMagic = 0x314d47414d4c4147;  // "GALMAGM1"
  uint64_t magic;
  uint32_t version;
  RingControl command;
  RingControl completion;

  static constexpr uint64_t kCommandData = 4096;
  static constexpr uint64_t kCompletionData = kCommandData + kCommandRingBytes;
  static constexpr uint64_t kBytes = kCompletionData + kCompletionRingBytes;
};
static_assert(sizeof(RingMemory) <= RingMemory::kCommandData);

/// A frame copied out of the ring: what decoders work on. Reuse one object: its buffer stays.
class Frame {
 public:
  FrameHeader header;
  std::span<const std::byte> payload() const { return {buffer_, header.size - sizeof(FrameHeader)}; }
  CommandType command() const { return static_cast<CommandType>(header.type); }
  CompletionType completion() const { return static_cast<CompletionType>(header.type); }

 private:
  friend class RingConsumer;
  alignas(16) std::byte buffer_[kMaxFrameBytes];
};

class RingProducer {
 public:
  RingProducer() = default;
  RingProducer(RingControl* control, std::byte* data, uint64_t capacity)
      : control_(control), data_(data), capacity_(capacity), head_(control->head.load(std::memory_order_relaxed)),
        broken_(head_ % kFrameAlign != 0) {}

  /// Room for a frame with `payload_bytes`, to be filled with encode(). Empty if the ring has no room now, or never will
  /// (payload over kMaxFrameBytes), or the peer's index is a lie: check broken().
  std::span<std::byte> reserve(size_t payload_bytes);
  /// Publishes the reserved frame with its real payload size. Does not wake: call wake() once after a batch.
  void commit(uint16_t type, uint32_t call, size_t payload_bytes);
  /// Wakes the consumer if it sleeps. True if a system call was made.
  bool wake();
  bool broken() const { return broken_; }
  /// What head will be once the reserved frame is committed with so much payload.
  uint64_t head_after(size_t payload_bytes) const;
  /// True if the consumer has taken everything.
  bool drained() const { return control_->tail.load(std::memory_order_acquire) == head_; }

 private:
  RingControl* control_ = nullptr;
  std::byte* data_ = nullptr;
  uint64_t capacity_ = 0;
  uint64_t head_ = 0;
  uint64_t known_tail_ = 0;
  bool broken_ = false;
};

class RingConsumer {
 public:
  enum class Next : uint8_t { kFrame, kEmpty, kBroken };

  RingConsumer() = default;
  RingConsumer(RingControl* control, const std::byte* data, uint64_t capacity)
      : RingConsumer(control, data, capacity, control->tail.load(std::memory_order_relaxed)) {}
  /// Begins at `tail`, which another consumer has come to.
  RingConsumer(RingControl* control, const std::byte* data, uint64_t capacity, uint64_t tail)
      : control_(control), data_(data), capacity_(capacity), tail_(tail) {}

  /// Copies the next frame into `frame` and gives its space back. kBroken: the peer broke the protocol, the session must
  /// end.
  Next next(Frame& frame) {
    const Next found = take(frame);
    if (found == Next::kFrame) give_back();
    return found;
  }
  /// The same, but the space stays taken until give_back(): whoever consumes after this one finds the frame again.
  Next take(Frame& frame);
  void give_back() { control_->tail.store(tail_, std::memory_order_release); }
  /// How far has been taken.
  uint64_t taken() const { return tail_; }
  /// True if a frame is there now; cheap.
  bool ready() const { return control_->head.load(std::memory_order_acquire) != tail_; }
  /// Spins as `spin` allows (null: not at all), then sleeps up to `timeout_ns` (UINT64_MAX: no limit) until a frame is there
  /// or the ring is closed or `*interrupt` (may be null) is not 0. True if a frame is there. Spurious false is possible;
  /// callers loop.
  bool wait(SpinBudget* spin, uint64_t timeout_ns, const std::atomic<uint32_t>* interrupt = nullptr);
  /// The processor that the producer woke the last wait() from; empty if it woke nobody. The peer's word: any number.
  std::optional<unsigned> woken_from() const { return woken_from_; }
  /// Wakes a wait() of another thread of this process that has just been given a reason in its `interrupt`.
  void poke() const;
  bool closed() const { return control_->closed.load(std::memory_order_acquire) != 0; }

 private:
  RingControl* control_ = nullptr;
  const std::byte* data_ = nullptr;
  uint64_t capacity_ = 0;
  uint64_t tail_ = 0;
  std::optional<unsigned> woken_from_;

  bool spin(SpinBudget& budget, const std::atomic<uint32_t>* interrupt);
  bool interrupted(const std::atomic<uint32_t>* interrupt) const {
    return closed() || (interrupt != nullptr && interrupt->load(std::memory_order_acquire) != 0);
  }
};

/// Marks both ends closed and wakes whoever sleeps. Safe to call from any thread, any number of times.
void close_ring(RingControl* control);

/// Shared (cross-process) futex. wait: sleeps while *word == expected, at most timeout_ns (UINT64_MAX: no limit).
void futex_wait(std::atomic<uint32_t>* word, uint32_t expected, uint64_t timeout_ns);
void futex_wake_all(std::atomic<uint32_t>* word);

/// CLOCK_MONOTONIC in nanoseconds.
uint64_t monotonic_ns();

/// One turn of a polite spin: a pause, and the processor for whoever else wants it.
void spin_pause();

/// Encodes `message` as a frame straight into the ring. False if there is no room now (or broken()).
template <typename M>
bool produce(RingProducer& ring, const M& message, uint32_t call, size_t payload_bound) {
  std::span<std::byte> room = ring.reserve(payload_bound);
  if (room.empty()) return false;
  size_t size = encode(message, room);
  if (size == 0) return false;
  ring.commit(static_cast<uint16_t>(M::kType), call, size);
  return true;
}

}  // namespace amalgam::protocol
