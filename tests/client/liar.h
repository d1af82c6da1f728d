// SPDX-License-Identifier: Apache-2.0
// Liar: a daemon that answers front doors, and workers behind it, in the test's own process. Either keeps the rules, or
// tells lies about what it was told to lie about:
//
//   kDevices      the list of devices, its pages and every value in it
//   kOpening      SessionOpened: its fields, its descriptors, what lies in the memories
//   kCompletions  everything that a worker sends, and the rings themselves
//
// The lies are chosen by Choices. Once one has been told, a client that waits for what never comes is hung up on.
//
// Threads: one for the socket and one a session; the methods are the test's. Blocking: finish() joins the workers.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "protocol/control/channel.h"
#include "protocol/waist/waist.h"
#include "tests/client/choices.h"

namespace amalgam::liar {

class Opening;
class Worker;

enum class About : uint8_t { kNothing, kDevices, kOpening, kCompletions };

class Liar {
 public:
  /// Listens, and points AMALGAM_SOCKET there.
  Liar();
  ~Liar();
  Liar(const Liar&) = delete;
  Liar& operator=(const Liar&) = delete;

  /// From the next connection on. `choices` outlives finish().
  void play(About about, Choices* choices);
  /// Workers hang up and are gone.
  void finish();
  /// Workers hang up as if they had been killed.
  void kill_workers();
  uint64_t told() const { return told_.load(); }
  /// What it lists when it tells the truth.
  std::vector<protocol::DeviceEntry> devices;
  /// Gives a session's memories and socket to somebody who serves it, in place of a worker of the liar's own. Set it before
  /// a session is opened; called on the liar's thread.
  std::function<void(Opening&)> hire;
  /// Sees every completion before it is sent; true: it has been taken care of. Set it before a session is opened.
  std::function<bool(Worker&, protocol::CompletionType, uint32_t call, std::span<const std::byte> payload)> script;

  /// For one decision and what follows from it; null while the truth is told.
  struct Turn {
    std::unique_lock<std::mutex> lock;
    Choices* choices;
  };
  Turn turn(About about);
  void count() { told_.fetch_add(1); }

 private:
  struct Session {
    std::thread thread;
    std::atomic<bool> stop{false};
  };
  void serve();
  bool answer(const protocol::Channel& guest);
  bool list(const protocol::Channel& guest, const protocol::ListDevices& request);
  bool open(const protocol::Channel& guest);

  std::string folder_, path_;
  UniqueFd listener_;
  std::thread thread_;
  std::mutex mutex_;
  About about_ = About::kNothing;
  Choices* choices_ = nullptr;
  std::atomic<uint64_t> told_{0};
  std::vector<std::unique_ptr<Session>> sessions_;
};

/// What the liar's daemon lists when it tells the truth: a device that works in the heap, and one that does not.
std::vector<protocol::DeviceEntry> true_devices();

/// Makes something else of a message's bytes.
void garble(Choices& choices, std::vector<std::byte>& bytes, uint64_t heap_bytes);

}  // namespace amalgam::liar
