// SPDX-License-Identifier: Apache-2.0
// Completions: what comes back.
//
// Threads: plain values; views point into the decoded frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "protocol/waist/frame.h"

namespace amalgam::protocol {

struct Reply {
  static constexpr CompletionType kType = CompletionType::kReply;
  Code code = Code::kOk;
  int32_t native = 0;  ///< the driver's code; on kOk always 0
  std::string_view message;
  std::span<const std::byte> payload;
  template <typename A>
  void fields(A& a) {
    a(code, native, message, payload);
  }
};

/// Nanoseconds in the device's own clock; all 0 where the driver gives none.
struct Timestamps {
  uint64_t queued = 0, submitted = 0, started = 0, ended = 0;
  template <typename A>
  void fields(A& a) {
    a(queued, submitted, started, ended);
  }
};

struct EventDone {
  static constexpr CompletionType kType = CompletionType::kEventDone;
  ObjectId event = 0;
  int32_t status = 0;  ///< 0 complete, negative the driver's error
  ObjectId stream = 0;
  uint64_t number = 0;  ///< of the enqueue in its stream; 0 for user events
  Timestamps times;
  template <typename A>
  void fields(A& a) {
    a(event, status, stream, number, times);
  }
};
struct EventStatus {
  static constexpr CompletionType kType = CompletionType::kEventStatus;
  ObjectId event = 0;
  int32_t status = 0;
  template <typename A>
  void fields(A& a) {
    a(event, status);
  }
};
struct GateReady {
  static constexpr CompletionType kType = CompletionType::kGateReady;
  ObjectId event = 0;
  int32_t status = 0;  ///< negative: a wait failed, do not do the work, the gate is already ended
  template <typename A>
  void fields(A& a) {
    a(event, status);
  }
};
/// In-order streams: every enqueue up to `number` has completed. Out-of-order: sent for Notify only.
struct StreamRetired {
  static constexpr CompletionType kType = CompletionType::kStreamRetired;
  ObjectId stream = 0;
  uint64_t number = 0;
  template <typename A>
  void fields(A& a) {
    a(stream, number);
  }
};
/// What kernels printed; belongs on the program's file descriptor, before the completions that follow.
struct Output {
  static constexpr CompletionType kType = CompletionType::kOutput;
  uint32_t fd = 1;
  std::string_view text;
  template <typename A>
  void fields(A& a) {
    a(fd, text);
  }
};
/// The session is over.
struct Fault {
  static constexpr CompletionType kType = CompletionType::kFault;
  Code code = Code::kDeviceLost;
  std::string_view message;
  template <typename A>
  void fields(A& a) {
    a(code, message);
  }
};

}  // namespace amalgam::protocol
