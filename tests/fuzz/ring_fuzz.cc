// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a consumer over a ring whose producer writes what it likes, and a producer whose consumer does.
//
// The input is a script: 8 bytes of what to do, then as many bytes of ring as there are. The consumer must end or go on,
// never read outside of the ring (a heap block of exactly its size) and never give out a frame over the bound.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "protocol/link/ring.h"

namespace {

using namespace amalgam::protocol;

constexpr uint64_t kCapacity = 1 << 18;

uint64_t mix(uint64_t x) {
  x ^= x >> 31;
  x *= 0x9e3779b97f4a7c15u;
  return x ^ (x >> 29);
}

/// Moves an index in a way that looks honest, or not.
void move(std::atomic<uint64_t>& index, uint64_t how) {
  uint64_t now = index.load(std::memory_order_relaxed);
  switch (how % 8) {
    case 0: index.store(mix(how), std::memory_order_relaxed); break;
    case 1: index.store(now - 16 * (how % 97), std::memory_order_relaxed); break;
    case 2: index.store(now + how % 31, std::memory_order_relaxed); break;
    case 3: index.store(now + kCapacity + 16, std::memory_order_relaxed); break;
    default: index.store(now + 16 * (mix(how) % 4096), std::memory_order_relaxed); break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  uint64_t script = 0;
  std::memcpy(&script, data, sizeof script);
  RingControl control{};
  auto memory = std::make_unique<std::byte[]>(kCapacity);
  for (size_t at = 0; at < kCapacity && size > 8; at += size - 8)
    std::memcpy(memory.get() + at, data + 8, std::min<size_t>(size - 8, kCapacity - at));
  static Frame frame;
  RingConsumer consumer(&control, memory.get(), kCapacity);
  for (int i = 0; i < 64; ++i) {
    script = mix(script + static_cast<uint64_t>(i) + 1);
    move(control.head, script);
    if (consumer.next(frame) == RingConsumer::Next::kFrame && frame.payload().size() > amalgam::kMaxFrameBytes) std::abort();
  }
  control.head.store(0, std::memory_order_relaxed);
  control.tail.store(0, std::memory_order_relaxed);
  RingProducer producer(&control, memory.get(), kCapacity);
  for (int i = 0; i < 64 && !producer.broken(); ++i) {
    script = mix(script + static_cast<uint64_t>(i) + 1);
    std::span<std::byte> room = producer.reserve(script % 200'000);
    if (!room.empty()) {
      if (room.data() < memory.get() || room.data() + room.size() > memory.get() + kCapacity) std::abort();
      std::memset(room.data(), 1, room.size());
      producer.commit(1, 0, room.size());
    }
    move(control.tail, mix(script));
  }
  return 0;
}
