// SPDX-License-Identifier: Apache-2.0
#include "protocol/link/ring.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>

#include <memory>
#include <thread>
#include <vector>

#include "protocol/waist/enqueues.h"

namespace amalgam::protocol {
namespace {

/// A ring of its own in private memory.
class TestRing {
 public:
  explicit TestRing(uint64_t bytes = 1 << 18) : capacity(bytes), data_(new std::byte[bytes]()) {}
  RingProducer producer() { return RingProducer(&control, data_.get(), capacity); }
  RingConsumer consumer() { return RingConsumer(&control, data_.get(), capacity); }
  std::byte* data() { return data_.get(); }
  void put_header(uint64_t at, uint32_t size) {
    FrameHeader header;
    header.size = size;
    std::memcpy(data_.get() + at, &header, sizeof header);
  }
  RingControl control{};
  uint64_t capacity;

 private:
  std::unique_ptr<std::byte[]> data_;
};

bool put(RingProducer& ring, uint16_t type, size_t bytes, uint8_t value) {
  std::span<std::byte> room = ring.reserve(bytes);
  if (room.empty() && bytes != 0) return false;
  std::memset(room.data(), value, bytes);
  ring.commit(type, type * 10u, bytes);
  return true;
}

TEST(Ring, FramesComeOutInOrderWithTheirHeader) {
  TestRing ring;
  auto producer = ring.producer();
  auto consumer = ring.consumer();
  auto frame = std::make_unique<Frame>();
  EXPECT_EQ(consumer.next(*frame), RingConsumer::Next::kEmpty);
  for (uint16_t i = 1; i <= 5; ++i) ASSERT_TRUE(put(producer, i, i * 33u, static_cast<uint8_t>(i)));
  EXPECT_FALSE(producer.drained());
  for (uint16_t i = 1; i <= 5; ++i) {
    ASSERT_EQ(consumer.next(*frame), RingConsumer::Next::kFrame);
    EXPECT_EQ(frame->header.type, i);
    EXPECT_EQ(frame->header.call, i * 10u);
    ASSERT_EQ(frame->payload().size(), i * 33u);
    for (std::byte byte : frame->payload()) EXPECT_EQ(byte, std::byte{static_cast<uint8_t>(i)});
  }
  EXPECT_EQ(consumer.next(*frame), RingConsumer::Next::kEmpty);
  EXPECT_TRUE(producer.drained());
}

TEST(Ring, FramesNeverWrapAndEverySizeComesThrough) {
  TestRing ring(1 << 18);
  auto producer = ring.producer();
  auto consumer = ring.consumer();
  auto frame = std::make_unique<Frame>();
  uint32_t seed = 1;
  for (int i = 0; i < 20'000; ++i) {
    seed = seed * 1664525u + 1013904223u;
    size_t size = 1 + (seed >> 8) % (i % 50 == 0 ? kMaxFrameBytes - sizeof(FrameHeader) : 700);
    ASSERT_TRUE(put(producer, static_cast<uint16_t>(i), size, static_cast<uint8_t>(i)));
    ASSERT_EQ(consumer.next(*frame), RingConsumer::Next::kFrame);
    ASSERT_EQ(frame->payload().size(), size);
    ASSERT_EQ(frame->payload().front(), std::byte{static_cast<uint8_t>(i)});
    ASSERT_EQ(frame->payload().back(), std::byte{static_cast<uint8_t>(i)});
  }
}

TEST(Ring, AFullRingRefusesUntilTheConsumerTakes) {
  TestRing ring;
  auto producer = ring.producer();
  auto consumer = ring.consumer();
  auto frame = std::make_unique<Frame>();
  int sent = 0;
  while (put(producer, 1, 1000, 7)) ++sent;
  EXPECT_GT(sent, 200);
  EXPECT_FALSE(producer.broken());
  EXPECT_FALSE(put(producer, 1, 1000, 7));
  int taken = 0;
  while (consumer.next(*frame) == RingConsumer::Next::kFrame) ++taken;
  EXPECT_EQ(taken, sent);
  EXPECT_TRUE(put(producer, 1, 1000, 7));
}

TEST(Ring, AFrameOverTheBoundIsRefused) {
  TestRing ring;
  auto producer = ring.producer();
  EXPECT_TRUE(producer.reserve(kMaxFrameBytes).empty());
  EXPECT_TRUE(producer.reserve(SIZE_MAX / 2).empty());
  EXPECT_FALSE(producer.broken());
  EXPECT_EQ(producer.reserve(kMaxFrameBytes - sizeof(FrameHeader)).size(), kMaxFrameBytes - sizeof(FrameHeader));
}

// ---- a producer that lies
// -------------------------------------------------------------------------------------------------

struct Lie {
  const char* what;
  uint64_t head;
  uint32_t size;  ///< of the first frame's header
};

class HostileProducer : public testing::TestWithParam<Lie> {};

TEST_P(HostileProducer, EndsTheSessionAndNothingElse) {
  TestRing ring;
  auto consumer = ring.consumer();
  auto frame = std::make_unique<Frame>();
  ring.put_header(0, GetParam().size);
  ring.control.head.store(GetParam().head);
  EXPECT_EQ(consumer.next(*frame), RingConsumer::Next::kBroken);
  EXPECT_EQ(consumer.next(*frame), RingConsumer::Next::kBroken);
}

INSTANTIATE_TEST_SUITE_P(
    Ring, HostileProducer,
    testing::Values(Lie{"behind", UINT64_MAX - 15, 32}, Lie{"far ahead", 1u << 30, 32}, Lie{"odd", 33, 32},
                    Lie{"half a header", 8, 32}, Lie{"one over", (1u << 18) + 16, 32},
                    Lie{"frame longer than what is there", 32, 4096}, Lie{"frame shorter than its header", 64, 15},
                    Lie{"huge frame", 1u << 18, UINT32_MAX}, Lie{"over the bound", 1u << 18, kMaxFrameBytes + 1},
                    Lie{"skip at the start", 64, 0}, Lie{"size one", 64, 1}));

TEST(Ring, NobodyBeginsBetweenFrames) {
  // The data ends where the mapping does, as the completions' does.
  constexpr uint64_t kCapacity = 1 << 18, kPage = 4096;
  void* memory = mmap(nullptr, kCapacity + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* data = static_cast<std::byte*>(memory);
  ASSERT_EQ(mprotect(data + kCapacity, kPage, PROT_NONE), 0);
  auto frame = std::make_unique<Frame>();
  for (uint64_t off = 1; off < kFrameAlign; ++off) {
    RingControl control{};
    control.tail = control.head = kCapacity - off;
    RingConsumer consumer(&control, data, kCapacity);
    control.head = kCapacity + 16 * kFrameAlign;
    EXPECT_EQ(consumer.next(*frame), RingConsumer::Next::kBroken);
    control.tail = control.head = kCapacity - off;
    RingProducer producer(&control, data, kCapacity);
    EXPECT_TRUE(producer.broken());
    EXPECT_EQ(producer.reserve(64).data(), nullptr);
  }
  munmap(memory, kCapacity + kPage);
}

TEST(Ring, ASkipThatPassesTheHeadIsBroken) {
  TestRing ring;
  auto producer = ring.producer();
  auto consumer = ring.consumer();
  auto frame = std::make_unique<Frame>();
  ASSERT_TRUE(put(producer, 1, 16, 1));
  ASSERT_EQ(consumer.next(*frame), RingConsumer::Next::kFrame);
  ring.put_header(32, 0);
  ring.control.head.store(64);
  EXPECT_EQ(consumer.next(*frame), RingConsumer::Next::kBroken);
}

TEST(Ring, AFrameOverTheEndIsBroken) {
  TestRing ring;
  auto producer = ring.producer();
  auto consumer = ring.consumer();
  auto frame = std::make_unique<Frame>();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(put(producer, 1, 80 * 1024 - sizeof(FrameHeader), 1));
    ASSERT_EQ(consumer.next(*frame), RingConsumer::Next::kFrame);
  }
  ring.put_header(240 * 1024, 64 * 1024);  // 16 KiB are left
  ring.control.head.store(240 * 1024 + 64 * 1024);
  EXPECT_EQ(consumer.next(*frame), RingConsumer::Next::kBroken);
}

TEST(Ring, RandomMemoryNeverReadsOutOfBounds) {
  auto frame = std::make_unique<Frame>();
  uint32_t seed = 99;
  auto next = [&] { return seed = seed * 1664525u + 1013904223u, seed >> 4; };
  for (int round = 0; round < 300; ++round) {
    TestRing ring(1 << 18);
    for (uint64_t at = 0; at + 16 <= ring.capacity; at += 16) ring.put_header(at, next() % 5 == 0 ? next() : next() % 600);
    auto consumer = ring.consumer();
    for (int i = 0; i < 200; ++i) {
      ring.control.head.store(ring.control.tail.load() + (next() % 3 == 0 ? next() : (next() % 64) * 16));
      bool taken = consumer.next(*frame) == RingConsumer::Next::kFrame;
      ASSERT_LE(taken ? frame->payload().size() : 0, kMaxFrameBytes);
    }
  }
}

// ---- a consumer that lies
// -------------------------------------------------------------------------------------------------

TEST(Ring, AConsumerThatMovesItsIndexBreaksTheRing) {
  for (uint64_t lie : {uint64_t{1} << 40, UINT64_MAX, uint64_t{1} << 63}) {
    TestRing ring;
    auto producer = ring.producer();
    while (put(producer, 1, 1000, 7)) {
    }
    ring.control.tail.store(lie);
    EXPECT_TRUE(producer.reserve(1000).empty());
    EXPECT_TRUE(producer.broken());
  }
}

TEST(Ring, AConsumerThatClaimsTooMuchOnlyLosesItsOwnFrames) {
  TestRing ring;
  auto producer = ring.producer();
  while (put(producer, 1, 1000, 7)) {
  }
  ring.control.tail.store(ring.control.head.load() - 512);
  for (int i = 0; i < 1000; ++i) {
    std::span<std::byte> room = producer.reserve(1000);
    if (room.empty()) break;
    EXPECT_GE(room.data(), ring.data());
    EXPECT_LE(room.data() + room.size(), ring.data() + ring.capacity);
    producer.commit(1, 0, 1000);
  }
}

// ---- two threads
// ------------------------------------------------------------------------------------------------------------

uint64_t checksum(std::span<const std::byte> bytes) {
  uint64_t sum = 1469598103934665603u;
  for (std::byte byte : bytes) sum = (sum ^ static_cast<uint64_t>(byte)) * 1099511628211u;
  return sum;
}

void stream_frames(SpinBudget* spin, int count) {
  TestRing ring(1 << 18);
  std::thread writer([&] {
    auto producer = ring.producer();
    uint32_t seed = 7;
    for (int i = 0; i < count; ++i) {
      seed = seed * 1664525u + 1013904223u;
      size_t size = 16 + (seed >> 8) % 900;
      std::span<std::byte> room;
      while ((room = producer.reserve(size)).empty()) {
        producer.wake();
        spin_pause();
      }
      for (size_t k = 8; k < size; ++k) room[k] = static_cast<std::byte>(seed >> (k % 24));
      uint64_t sum = checksum(room.subspan(8));
      std::memcpy(room.data(), &sum, sizeof sum);
      producer.commit(3, static_cast<uint32_t>(i), size);
      if (i % 5 == 0 || i == count - 1) producer.wake();
    }
  });
  auto consumer = ring.consumer();
  auto frame = std::make_unique<Frame>();
  for (int i = 0; i < count;) {
    auto got = consumer.next(*frame);
    ASSERT_NE(got, RingConsumer::Next::kBroken);
    if (got == RingConsumer::Next::kEmpty) {
      consumer.wait(spin, UINT64_MAX);
      continue;
    }
    uint64_t sum = 0;
    std::memcpy(&sum, frame->payload().data(), sizeof sum);
    ASSERT_EQ(frame->header.call, static_cast<uint32_t>(i));
    ASSERT_EQ(sum, checksum(frame->payload().subspan(8)));
    ++i;
  }
  writer.join();
}

TEST(Ring, TwoThreadsSpinning) {
  SpinBudget spin;
  stream_frames(&spin, 50'000);
}
TEST(Ring, TwoThreadsSleeping) { stream_frames(nullptr, 20'000); }

TEST(SpinBudget, RestsLongerTheMoreOftenTheProcessorIsContended) {
  SpinBudget spin;
  EXPECT_GT(spin.yielding_ns(), 0u);
  auto rests = [&] {
    spin.contended();
    int n = 0;
    while (spin.yielding_ns() == 0) ++n;
    return n;
  };
  int first = rests(), second = rests();
  EXPECT_GT(first, 0);
  EXPECT_GT(second, first);
  for (int i = 0; i < 20; ++i) spin.waited(1'000, true);
  EXPECT_EQ(rests(), first);
}

TEST(SpinBudget, SpinsLongerForShortWaitsAndGivesUpOnLongOnes) {
  SpinBudget spin(16);
  spin.waited(20'000, true);
  uint64_t for_short = spin.yielding_ns();
  EXPECT_GE(for_short, 40'000u);
  for (int i = 0; i < 10; ++i) spin.waited(10'000'000, false);
  EXPECT_LT(spin.yielding_ns(), for_short);
}

TEST(SpinBudget, OfFewProcessorsItSleepsThroughKernelsAndLooksNowAndThen) {
  SpinBudget spin(2);
  const uint64_t most = spin.yielding_ns();
  EXPECT_LE(most, 50'000u);
  for (int i = 0; i < 10; ++i) spin.waited(100'000, false);
  int probes = 0;
  for (int i = 0; i < 2560; ++i) {
    uint64_t budget = spin.yielding_ns();
    EXPECT_TRUE(budget <= 2'000 || budget == most) << budget;
    probes += budget == most ? 1 : 0;
    spin.waited(100'000, false);
  }
  EXPECT_GE(probes, 5);
  EXPECT_LE(probes, 20);
  spin.waited(10'000, true);
  EXPECT_GE(spin.yielding_ns(), 20'000u) << "a probe that met a short wait";
}

TEST(Ring, WakeCallsTheKernelOnlyForASleeper) {
  TestRing ring;
  auto producer = ring.producer();
  ASSERT_TRUE(put(producer, 1, 16, 1));
  EXPECT_FALSE(producer.wake());
  ring.control.sleeping.store(1);
  EXPECT_TRUE(producer.wake());
  EXPECT_EQ(ring.control.sleeping.load(), 0u);
  EXPECT_FALSE(producer.wake());
}

TEST(Ring, ASleeperLearnsWhereItWasWokenFrom) {
  TestRing ring;
  auto producer = ring.producer();
  auto consumer = ring.consumer();
  EXPECT_FALSE(consumer.wait(nullptr, 1'000'000));
  EXPECT_EQ(consumer.woken_from(), std::nullopt) << "nobody came";
  unsigned from = UINT32_MAX;
  std::thread waker([&] {
    ::cpu_set_t one;
    ASSERT_EQ(::sched_getaffinity(0, sizeof one, &one), 0);
    for (int processor = CPU_SETSIZE - 1; CPU_COUNT(&one) > 1; --processor) CPU_CLR(processor, &one);
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    from = static_cast<unsigned>(::sched_getcpu());
    while (ring.control.sleeping.load() == 0) std::this_thread::yield();
    ASSERT_TRUE(put(producer, 1, 8, 1));
    EXPECT_TRUE(producer.wake());
  });
  while (!consumer.wait(nullptr, UINT64_MAX)) {
  }
  waker.join();
  EXPECT_EQ(consumer.woken_from(), from);
  EXPECT_TRUE(consumer.wait(nullptr, UINT64_MAX));
  EXPECT_EQ(consumer.woken_from(), std::nullopt) << "it did not sleep";
}

TEST(Ring, WaitEndsAtItsTimeout) {
  TestRing ring;
  auto consumer = ring.consumer();
  uint64_t begin = monotonic_ns();
  EXPECT_FALSE(consumer.wait(nullptr, 20'000'000));
  EXPECT_GE(monotonic_ns() - begin, 10'000'000u);
  SpinBudget spin;
  EXPECT_FALSE(consumer.wait(&spin, 0));
  EXPECT_EQ(ring.control.sleeping.load(), 0u);
}

TEST(Ring, ClosingWakesASleeper) {
  TestRing ring;
  std::thread closer([&] {
    while (ring.control.sleeping.load() == 0) std::this_thread::yield();
    close_ring(&ring.control);
  });
  auto consumer = ring.consumer();
  while (!consumer.closed()) consumer.wait(nullptr, UINT64_MAX);
  closer.join();
  SpinBudget spin;
  EXPECT_FALSE(consumer.wait(&spin, UINT64_MAX));
}

TEST(Ring, WhatWasSentBeforeClosingCanStillBeTaken) {
  TestRing ring;
  auto producer = ring.producer();
  ASSERT_TRUE(put(producer, 9, 16, 1));
  close_ring(&ring.control);
  auto consumer = ring.consumer();
  auto frame = std::make_unique<Frame>();
  EXPECT_TRUE(consumer.closed());
  EXPECT_EQ(consumer.next(*frame), RingConsumer::Next::kFrame);
}

TEST(Ring, ProducePutsAMessage) {
  TestRing ring;
  auto producer = ring.producer();
  auto consumer = ring.consumer();
  ASSERT_TRUE(produce(producer, Notify{77}, 5, 64));
  auto frame = std::make_unique<Frame>();
  ASSERT_EQ(consumer.next(*frame), RingConsumer::Next::kFrame);
  EXPECT_EQ(frame->command(), CommandType::kNotify);
  EXPECT_EQ(frame->header.call, 5u);
  Notify got;
  ASSERT_TRUE(decode(frame->payload(), got));
  EXPECT_EQ(got.stream, 77u);
}

}  // namespace
}  // namespace amalgam::protocol
