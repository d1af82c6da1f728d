// SPDX-License-Identifier: Apache-2.0
// Victim: a session of our own, opened as any client opens one, with its shared memories mapped for writing.
//
// Threads: one. Blocking: open() until the daemon has answered.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>

#include "protocol/control/channel.h"
#include "protocol/link/ring.h"
#include "protocol/waist/waist.h"

namespace hostile {

namespace protocol = amalgam::protocol;
using amalgam::Result;

/// The slice that the environment names (AMALGAM_SLICE), or the default one.
protocol::Token slice_from_environment();

class Victim {
 public:
  static Result<std::unique_ptr<Victim>> open();
  ~Victim();
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  protocol::RingMemory* memory() const { return memory_; }
  std::span<std::byte> ring_bytes() const { return {reinterpret_cast<std::byte*>(memory_), protocol::RingMemory::kBytes}; }
  std::span<std::byte> command_data() const {
    return ring_bytes().subspan(protocol::RingMemory::kCommandData, amalgam::kCommandRingBytes);
  }
  std::byte* heap() const { return heap_; }
  uint64_t heap_bytes() const { return heap_bytes_; }
  int socket() const { return socket_.get(); }
  int grants() const { return grants_.get(); }
  int knock() const { return knock_.get(); }

  /// Puts one message into the ring as the front door would. False if there is no room within a while or the session is
  /// over.
  template <typename M>
  bool command(const M& message, uint32_t call = 0) {
    return wait_for_room([&] { return protocol::produce(producer_, message, call, 4096); });
  }
  /// Puts one frame of any bytes into the ring.
  bool raw(uint16_t type, uint32_t call, std::span<const std::byte> payload);
  /// Sends a command that wants a Reply and takes completions until it is there; empty if the session ended.
  template <typename M>
  std::optional<amalgam::Code> call(const M& message) {
    uint32_t number = ++calls_;
    if (!command(message, number)) return std::nullopt;
    return reply(number);
  }
  /// Hello, OpenDevice 1, CreateContext 2, CreateStream 3, CreateRegion 4 of a page: something to be hostile to.
  bool prepare();
  /// Takes and drops what has come back.
  void drain();
  /// True once the worker has closed its end.
  bool over();
  /// Waits a bounded time for over() or for the worker to have taken everything.
  void settle();
  void wake() { producer_.wake(); }
  /// Closes one of the descriptors or mappings early.
  void close_socket() { socket_ = amalgam::UniqueFd(); }
  void unmap();

 private:
  Victim() = default;
  std::optional<amalgam::Code> reply(uint32_t number);
  template <typename F>
  bool wait_for_room(F put) {
    for (int i = 0; i < 20'000; ++i) {
      if (put()) {
        producer_.wake();
        return true;
      }
      if (producer_.broken() || over()) return false;
      drain();
      producer_.wake();
      pause();
    }
    return false;
  }
  static void pause();

  amalgam::UniqueFd socket_, grants_, knock_;
  protocol::RingMemory* memory_ = nullptr;
  std::byte* heap_ = nullptr;
  uint64_t heap_bytes_ = 0;
  protocol::RingProducer producer_;
  protocol::RingConsumer consumer_;
  std::unique_ptr<protocol::Frame> frame_ = std::make_unique<protocol::Frame>();
  uint32_t calls_ = 0;
};

using Random = std::mt19937_64;

struct Attack {
  const char* name;
  void (*run)(Random& random);
};
std::span<const Attack> attacks();

}  // namespace hostile
