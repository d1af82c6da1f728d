// SPDX-License-Identifier: Apache-2.0
// TestClient: the other end of a session's rings, for tests: makes the memories, sends commands, collects what comes back.
//
// Threads: one. Blocking: call() and await() wait until what they want is there or a generous time has passed.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "protocol/link/ring.h"
#include "protocol/waist/waist.h"

namespace amalgam::core {

class TestClient {
 public:
  static constexpr uint64_t kHeapBytes = kStagingBytes + kGiB;

  struct Answer {
    Code code = Code::kTimeout;
    int32_t native = 0;
    std::string message;
    std::vector<std::byte> payload;
    bool ok() const { return code == Code::kOk; }
    template <typename M>
    M as() const {
      M message_out{};
      EXPECT_TRUE(protocol::decode(std::span<const std::byte>(payload), message_out));
      return message_out;
    }
  };

  TestClient() : ring_fd(memory("rings", protocol::RingMemory::kBytes)), heap_fd(memory("heap", kHeapBytes)) {
    rings = static_cast<protocol::RingMemory*>(
        ::mmap(nullptr, protocol::RingMemory::kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd.get(), 0));
    rings->magic = protocol::RingMemory::kMagic;
    rings->version = protocol::kWireVersion;
    auto* base = reinterpret_cast<std::byte*>(rings);
    commands = protocol::RingProducer(&rings->command, base + protocol::RingMemory::kCommandData, kCommandRingBytes);
    completions =
        protocol::RingConsumer(&rings->completion, base + protocol::RingMemory::kCompletionData, kCompletionRingBytes);
  }
  ~TestClient() {
    ::munmap(rings, protocol::RingMemory::kBytes);
    if (mapped_here) ::munmap(heap, kHeapBytes);
  }

  /// A place for the heap that is free in this process.
  static uint64_t free_place() {
    void* place = ::mmap(nullptr, kHeapBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ::munmap(place, kHeapBytes);
    return reinterpret_cast<uint64_t>(place);
  }
  /// Says Hello. The session is in this process (its mapping is ours) or in another (then we map it too).
  void greet(bool same_process) {
    std::vector<void*> taken;  // by the worker; kept, so that the next place is another one
    for (int i = 0; i < 100; ++i) {
      uint64_t place = free_place();
      if (!same_process) {
        void* got = ::mmap(reinterpret_cast<void*>(place), kHeapBytes, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, heap_fd.get(), 0);
        if (got == MAP_FAILED) continue;
        mapped_here = true;
      }
      heap = reinterpret_cast<std::byte*>(place);
      Answer answer = call(protocol::Hello{protocol::kWireVersion, place});
      ASSERT_TRUE(answer.ok()) << answer.message;
      if (answer.as<protocol::HelloReply>().same_address) break;
      if (mapped_here) taken.push_back(heap);
      mapped_here = false;
      heap = nullptr;
    }
    for (void* at : taken) ::munmap(at, kHeapBytes);
    ASSERT_NE(heap, nullptr) << "no common address";
  }

  template <typename M>
  void send(const M& message, uint32_t call_number = 0) {
    uint64_t give_up = protocol::monotonic_ns() + kPatienceNs;
    while (!protocol::produce(commands, message, call_number, kMaxFrameBytes / 2)) {
      if (protocol::monotonic_ns() > give_up || rings->command.closed.load() != 0) return;
      drain();
      protocol::spin_pause();
    }
    commands.wake();
  }
  /// Sends raw bytes as a frame of that type.
  void send_raw(uint16_t type, std::span<const std::byte> payload, uint32_t call_number = 0) {
    uint64_t give_up = protocol::monotonic_ns() + kPatienceNs;
    std::span<std::byte> room;
    while ((room = commands.reserve(payload.size())).data() == nullptr) {
      if (protocol::monotonic_ns() > give_up || rings->command.closed.load() != 0) return;
      drain();
      protocol::spin_pause();
    }
    if (!payload.empty()) std::memcpy(room.data(), payload.data(), payload.size());
    commands.commit(type, call_number, payload.size());
    commands.wake();
  }
  template <typename M>
  Answer call(const M& message) {
    uint32_t number = ++calls;
    send(message, number);
    await([&] { return replies.contains(number); });
    return replies.contains(number) ? replies[number] : Answer{};
  }
  template <typename M>
  uint32_t call_later(const M& message) {
    send(message, ++calls);
    return calls;
  }
  Answer answer_to(uint32_t number) {
    await([&] { return replies.contains(number); });
    return replies.contains(number) ? replies[number] : Answer{};
  }
  protocol::ObjectId id() { return protocol::make_id(++slots, 1); }

  /// Takes what comes until `done()`; false if it does not come, or the session has ended without it.
  bool await(const std::function<bool()>& done) {
    uint64_t give_up = protocol::monotonic_ns() + kPatienceNs;
    for (;;) {
      drain();
      if (done()) return true;
      if (completions.closed() && !completions.ready()) return false;
      if (protocol::monotonic_ns() > give_up) return false;
      completions.wait({}, 10'000'000);
    }
  }
  std::optional<protocol::EventDone> done_of(protocol::ObjectId event) {
    await([&] { return find_done(event) != nullptr; });
    auto* found = find_done(event);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  bool finish(protocol::ObjectId stream, uint64_t number) {
    send(protocol::Notify{stream});
    return await([&] { return retired[stream] >= number; });
  }

  void drain() {
    while (completions.next(*frame) == protocol::RingConsumer::Next::kFrame) take();
  }

  UniqueFd ring_fd, heap_fd;
  protocol::RingMemory* rings = nullptr;
  protocol::RingProducer commands;
  protocol::RingConsumer completions;
  std::byte* heap = nullptr;
  bool mapped_here = false;
  uint32_t calls = 0, slots = 0;

  std::map<uint32_t, Answer> replies;
  std::vector<protocol::EventDone> dones;
  std::vector<protocol::GateReady> gates;
  std::vector<protocol::EventStatus> statuses;
  std::map<protocol::ObjectId, uint64_t> retired;
  std::vector<protocol::CompletionType> order;  ///< of everything that came
  std::string output;
  std::optional<Code> fault;

 private:
  static constexpr uint64_t kPatienceNs = 60'000'000'000;
  static UniqueFd memory(const char* name, uint64_t bytes) {
    UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
    EXPECT_EQ(0, ::ftruncate(fd.get(), static_cast<off_t>(bytes)));
    return fd;
  }
  const protocol::EventDone* find_done(protocol::ObjectId event) const {
    for (const auto& done : dones)
      if (done.event == event) return &done;
    return nullptr;
  }
  template <typename M>
  M read() {
    M message{};
    EXPECT_TRUE(protocol::decode(frame->payload(), message));
    return message;
  }
  void take() {
    using Type = protocol::CompletionType;
    order.push_back(frame->completion());
    switch (frame->completion()) {
      case Type::kReply: {
        auto reply = read<protocol::Reply>();
        EXPECT_FALSE(replies.contains(frame->header.call))
            << "answered twice: " << frame->header.call << " now " << reply.message << ", before "
            << replies[frame->header.call].message;
        replies[frame->header.call] = {
            reply.code, reply.native, std::string(reply.message), {reply.payload.begin(), reply.payload.end()}};
        return;
      }
      case Type::kEventDone: dones.push_back(read<protocol::EventDone>()); return;
      case Type::kEventStatus: statuses.push_back(read<protocol::EventStatus>()); return;
      case Type::kGateReady: gates.push_back(read<protocol::GateReady>()); return;
      case Type::kStreamRetired: {
        auto m = read<protocol::StreamRetired>();
        EXPECT_GE(m.number, retired[m.stream]) << "a stream goes forward only";
        retired[m.stream] = m.number;
        return;
      }
      case Type::kOutput: output += read<protocol::Output>().text; return;
      case Type::kFault: fault = read<protocol::Fault>().code; return;
    }
    ADD_FAILURE() << "unknown completion";
  }
  std::unique_ptr<protocol::Frame> frame = std::make_unique<protocol::Frame>();
};

/// One argument of a launch, encoded.
inline void put_arg(std::vector<std::byte>& block, uint32_t index, protocol::ArgKind kind, uint64_t size,
                    const void* value) {
  protocol::ArgHead head;
  head.index = index;
  head.kind = kind;
  head.size = size;
  uint64_t bytes = protocol::arg_value_bytes(head), at = block.size();
  block.resize(at + sizeof head + ((bytes + 7) & ~uint64_t{7}));
  std::memcpy(block.data() + at, &head, sizeof head);
  if (bytes != 0) std::memcpy(block.data() + at + sizeof head, value, bytes);
}

}  // namespace amalgam::core
