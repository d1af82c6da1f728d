// SPDX-License-Identifier: Apache-2.0
// DispatcherPlacer: hears what the dispatcher does, and says to the system where it may run, and before whom. This one does
// not care.
//
// Threads: called on the dispatcher, but relays() on any.
#pragma once

#include <cstdint>
#include <optional>

namespace amalgam::core {

class DispatcherPlacer {
 public:
  DispatcherPlacer() = default;
  virtual ~DispatcherPlacer() = default;
  DispatcherPlacer(const DispatcherPlacer&) = delete;
  DispatcherPlacer& operator=(const DispatcherPlacer&) = delete;

  /// The dispatcher rests from now on, with so many commands in flight. Returns for how long at most, in nanoseconds, before
  /// it looks again.
  virtual uint64_t rest_begins(uint64_t /*in_flight*/) { return UINT64_MAX; }
  /// No longer; it was woken from this processor (any number) by a program that has slept meanwhile, or by somebody else.
  /// `stopped`: it could not have come sooner, as the process was stopped or had to wait for its turn.
  virtual void rest_ends(std::optional<unsigned> /*processor*/, bool /*stopped*/) {}
  /// A command comes for which a driver may start threads, which inherit where the dispatcher may run.
  virtual void builds() {}
  /// Whether the driver's threads leave it to the resting dispatcher to wake the program.
  virtual bool relays() const { return false; }
};

}  // namespace amalgam::core
