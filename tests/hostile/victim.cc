// SPDX-License-Identifier: Apache-2.0
#include "victim.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace hostile {

protocol::Token slice_from_environment() {
  protocol::Token token{};
  const char* text = std::getenv("AMALGAM_SLICE");
  if (text == nullptr || std::strlen(text) != 32) return token;
  std::string words(text);
  token[0] = std::strtoull(words.substr(0, 16).c_str(), nullptr, 16);
  token[1] = std::strtoull(words.substr(16).c_str(), nullptr, 16);
  return token;
}

Result<std::unique_ptr<Victim>> Victim::open() {
  auto daemon = protocol::Channel::connect(protocol::default_socket_path());
  if (!daemon) return std::unexpected(daemon.error());
  protocol::ReceivedDescriptors<protocol::SessionOpened> fds;
  protocol::OpenSession wish{protocol::kControlVersion, slice_from_environment(), "hostile"};
  auto opened = daemon->call<protocol::SessionOpened>(wish, 60'000, fds);
  if (!opened) return std::unexpected(opened.error());
  std::unique_ptr<Victim> victim(new Victim);
  victim->socket_ = std::move(fds.worker);
  victim->grants_ = std::move(fds.grants);
  victim->knock_ = std::move(fds.knock);
  void* ring = mmap(nullptr, protocol::RingMemory::kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds.ring.get(), 0);
  void* heap = mmap(nullptr, opened->heap_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fds.heap.get(), 0);
  if (ring == MAP_FAILED || heap == MAP_FAILED) return amalgam::fail(amalgam::Code::kInternal, "mmap");
  victim->memory_ = static_cast<protocol::RingMemory*>(ring);
  victim->heap_ = static_cast<std::byte*>(heap);
  victim->heap_bytes_ = opened->heap_bytes;
  std::byte* base = static_cast<std::byte*>(ring);
  victim->producer_ = protocol::RingProducer(&victim->memory_->command, base + protocol::RingMemory::kCommandData,
                                             amalgam::kCommandRingBytes);
  victim->consumer_ = protocol::RingConsumer(&victim->memory_->completion, base + protocol::RingMemory::kCompletionData,
                                             amalgam::kCompletionRingBytes);
  return victim;
}

Victim::~Victim() { unmap(); }

void Victim::unmap() {
  if (memory_ != nullptr) munmap(memory_, protocol::RingMemory::kBytes);
  if (heap_ != nullptr) munmap(heap_, heap_bytes_);
  memory_ = nullptr;
  heap_ = nullptr;
}

void Victim::pause() { usleep(500); }

bool Victim::raw(uint16_t type, uint32_t call, std::span<const std::byte> payload) {
  return wait_for_room([&] {
    std::span<std::byte> room = producer_.reserve(payload.size());
    if (room.data() == nullptr) return false;
    if (!payload.empty()) std::memcpy(room.data(), payload.data(), payload.size());
    producer_.commit(type, call, payload.size());
    return true;
  });
}

std::optional<amalgam::Code> Victim::reply(uint32_t number) {
  for (int i = 0; i < 20'000; ++i) {
    while (consumer_.next(*frame_) == protocol::RingConsumer::Next::kFrame) {
      if (frame_->completion() != protocol::CompletionType::kReply || frame_->header.call != number) continue;
      protocol::Reply reply;
      if (!protocol::decode(frame_->payload(), reply)) return std::nullopt;
      return reply.code;
    }
    if (over()) return std::nullopt;
    consumer_.wait(0, 1'000'000);
  }
  return std::nullopt;
}

bool Victim::prepare() {
  // The heap is wherever it came to lie; a worker that cannot take the same address says so and goes on.
  if (!call(protocol::Hello{protocol::kWireVersion, reinterpret_cast<uint64_t>(heap_)})) return false;
  const protocol::ObjectId device[] = {protocol::make_id(1, 1)};
  if (!call(protocol::OpenDevice{device[0], 0})) return false;
  if (!call(protocol::CreateContext{protocol::make_id(2, 1), device, {}})) return false;
  if (!call(protocol::CreateStream{protocol::make_id(3, 1), protocol::make_id(2, 1), device[0], {}})) return false;
  protocol::CreateRegion region;
  region.id = protocol::make_id(4, 1);
  region.context = protocol::make_id(2, 1);
  region.flags = 1;
  region.size = 4096;
  return call(region).has_value();
}

void Victim::drain() {
  while (consumer_.next(*frame_) == protocol::RingConsumer::Next::kFrame) {
  }
}

bool Victim::over() {
  if (!socket_) return true;
  pollfd watched{socket_.get(), POLLIN, 0};
  return poll(&watched, 1, 0) > 0 && (watched.revents & (POLLHUP | POLLERR)) != 0;
}

void Victim::settle() {
  for (int i = 0; i < 200 && !over() && !producer_.drained(); ++i) {
    drain();
    producer_.wake();
    pause();
  }
}

}  // namespace hostile
