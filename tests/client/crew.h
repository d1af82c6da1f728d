// SPDX-License-Identifier: Apache-2.0
// Crew: honest workers, each the real executor on simulated devices in a process of its own, which can be stopped, continued
// and killed as any process.
//
//   a test ── memories, socket, seed ──▶ the foreman, a process without threads ── fork ──▶ a worker
//        ◀──────────── pidfd ───────────┘
//
// Device 0 of a worker works in the heap, device 1 has memory of its own. Commands end on the dispatcher's thread, or late
// on another, out of the seed. Whoever the test leaves behind dies with the foreman, and the foreman with the test.
//
// Threads: make it before there are any, since it forks; hire() one at a time; a Hand is used from anywhere.
#pragma once

#include <cstdint>
#include <vector>

#include "base/unique_fd.h"
#include "model/device.h"
#include "protocol/control/channel.h"

namespace amalgam::liar {

/// One worker.
class Hand {
 public:
  Hand() = default;
  explicit Hand(UniqueFd process) : process_(std::move(process)) {}
  /// Nothing happens to one that has gone.
  void stop() const;
  void go_on() const;
  void kill() const;
  explicit operator bool() const { return static_cast<bool>(process_); }

 private:
  void signal(int number) const;
  UniqueFd process_;
};

class Crew {
 public:
  Crew();
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  /// The devices of every worker, in their order.
  static std::vector<model::Device> devices();
  /// A worker with these memories and its end of the client's socket. Blocking: until it is there.
  Hand hire(int ring, int heap, int client, uint64_t seed) const;

 private:
  protocol::Channel foreman_;
  int pid_ = 0;
};

}  // namespace amalgam::liar
