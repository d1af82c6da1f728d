// SPDX-License-Identifier: Apache-2.0
#include "protocol/link/ring.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace amalgam::protocol {
namespace {

constexpr uint64_t padded(uint64_t n) { return (n + kFrameAlign - 1) & ~(kFrameAlign - 1); }
static_assert(sizeof(FrameHeader) <= kFrameAlign);  // so a header never reaches beyond the data

#ifdef __SANITIZE_THREAD__
// What goes out to another process and comes back by it is ordered, and the sanitizer sees one process.
char g_other_processes;
void goes_out() { __tsan_release(&g_other_processes); }
void comes_in() { __tsan_acquire(&g_other_processes); }
#else
void goes_out() {}
void comes_in() {}
#endif

}  // namespace

uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

unsigned usable_processors() {
  cpu_set_t allowed;
  // Fails where there are more than a cpu_set_t holds.
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return CPU_SETSIZE;
  return static_cast<unsigned>(CPU_COUNT(&allowed));
}

void spin_pause() {
  __builtin_ia32_pause();
  sched_yield();
}

void futex_wait(std::atomic<uint32_t>* word, uint32_t expected, uint64_t timeout_ns) {
  timespec limit{static_cast<time_t>(timeout_ns / 1'000'000'000u), static_cast<long>(timeout_ns % 1'000'000'000u)};
  syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout_ns == UINT64_MAX ? nullptr : &limit, nullptr, 0);
}

void futex_wake_all(std::atomic<uint32_t>* word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

std::span<std::byte> RingProducer::reserve(size_t payload_bytes) {
  uint64_t need = padded(sizeof(FrameHeader) + payload_bytes);
  if (need > kMaxFrameBytes || broken_) return {};
  uint64_t at = head_ & (capacity_ - 1);
  uint64_t to_end = capacity_ - at;
  uint64_t skip = need > to_end ? to_end : 0;
  if (head_ + skip + need - known_tail_ > capacity_) {
    uint64_t tail = control_->tail.load(std::memory_order_acquire);
    if (head_ - tail > capacity_) {
      broken_ = true;
      return {};
    }
    known_tail_ = tail;
    if (head_ + skip + need - known_tail_ > capacity_) return {};
  }
  if (skip != 0) {
    FrameHeader marker;  // size 0: skip to the start
    std::memcpy(data_ + at, &marker, sizeof marker);
    head_ += skip;
    at = 0;
  }
  return {data_ + at + sizeof(FrameHeader), payload_bytes};
}

uint64_t RingProducer::head_after(size_t payload_bytes) const { return head_ + padded(sizeof(FrameHeader) + payload_bytes); }

void RingProducer::commit(uint16_t type, uint32_t call, size_t payload_bytes) {
  FrameHeader header;
  header.size = static_cast<uint32_t>(sizeof(FrameHeader) + payload_bytes);
  header.type = type;
  header.call = call;
  std::memcpy(data_ + (head_ & (capacity_ - 1)), &header, sizeof header);
  head_ += padded(header.size);
  goes_out();
  control_->head.store(head_, std::memory_order_release);
}

bool RingProducer::wake() {
  // The consumer raises `sleeping` and then looks at head; we publish head and then look at `sleeping`. The two fences make
  // it impossible that both miss the other.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (control_->sleeping.load(std::memory_order_relaxed) == 0) return false;
  if (control_->sleeping.exchange(0, std::memory_order_acq_rel) == 0) return false;
  control_->woken_from.store(static_cast<uint32_t>(::sched_getcpu() + 1), std::memory_order_relaxed);
  futex_wake_all(&control_->sleeping);
  return true;
}

RingConsumer::Next RingConsumer::take(Frame& frame) {
  for (;;) {
    uint64_t head = control_->head.load(std::memory_order_acquire);
    uint64_t available = head - tail_;
    if (available == 0) return Next::kEmpty;
    uint64_t at = tail_ & (capacity_ - 1);
    uint64_t to_end = capacity_ - at;
    if (available > capacity_ || available < sizeof(FrameHeader) || (head | tail_) % kFrameAlign != 0) return Next::kBroken;
    FrameHeader header;
    std::memcpy(&header, data_ + at, sizeof header);
    if (header.size == 0) {
      if (at == 0 || available < to_end) return Next::kBroken;
      tail_ += to_end;
      continue;
    }
    uint64_t whole = padded(header.size);
    if (header.size < sizeof header || header.size > kMaxFrameBytes || whole > available || whole > to_end)
      return Next::kBroken;
    comes_in();
    frame.header = header;
    std::memcpy(frame.buffer_, data_ + at + sizeof header, header.size - sizeof header);
    tail_ += whole;
    return Next::kFrame;
  }
}

bool RingConsumer::spin(SpinBudget& budget, const std::atomic<uint32_t>* interrupt) {
  uint64_t yielding = budget.yielding_ns(), now = monotonic_ns();
  uint64_t end = now + (yielding != 0 ? yielding : SpinBudget::kPauseNs);
  while (now < end && !interrupted(interrupt)) {
    yielding != 0 ? spin_pause() : __builtin_ia32_pause();
    uint64_t then = monotonic_ns();
    bool long_turn = yielding != 0 && SpinBudget::is_contended(then - now);
    if (long_turn) budget.contended();
    if (ready()) return true;
    if (long_turn) return false;
    now = then;
  }
  return false;
}

bool RingConsumer::wait(SpinBudget* budget, uint64_t timeout_ns, const std::atomic<uint32_t>* interrupt) {
  woken_from_.reset();
  if (ready()) return true;
  uint64_t begin = 0;
  if (budget != nullptr) {
    begin = monotonic_ns();
    if (spin(*budget, interrupt)) {
      budget->waited(monotonic_ns() - begin, true);
      return true;
    }
  }
  if (timeout_ns == 0 || interrupted(interrupt)) return false;
  control_->sleeping.store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!ready() && !interrupted(interrupt)) futex_wait(&control_->sleeping, 1, timeout_ns);
  control_->sleeping.store(0, std::memory_order_relaxed);
  if (const uint32_t from = control_->woken_from.exchange(0, std::memory_order_relaxed)) woken_from_ = from - 1;
  if (budget != nullptr) budget->waited(monotonic_ns() - begin, false);
  return ready();
}

void RingConsumer::poke() const {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (control_->sleeping.exchange(0, std::memory_order_acq_rel) != 0) futex_wake_all(&control_->sleeping);
}

void close_ring(RingControl* control) {
  control->closed.store(1, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  control->sleeping.store(0, std::memory_order_release);
  futex_wake_all(&control->sleeping);
}

}  // namespace amalgam::protocol
