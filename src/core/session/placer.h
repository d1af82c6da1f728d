// SPDX-License-Identifier: Apache-2.0
// Placer: hears what the dispatcher does, and says to the system where it may run. This one does not care.
//
// Threads: called on the dispatcher.
#pragma once

#include <optional>

namespace amalgam::core {

class Placer {
 public:
  Placer() = default;
  virtual ~Placer() = default;
  Placer(const Placer&) = delete;
  Placer& operator=(const Placer&) = delete;

  /// The dispatcher rests from now on.
  virtual void rest_begins() {}
  /// No longer; it was woken from this processor (any number) by a program that has slept meanwhile, or by somebody else.
  virtual void rest_ends(std::optional<unsigned> /*processor*/) {}
  /// A command comes for which a driver may start threads, which inherit where the dispatcher may run.
  virtual void builds() {}
};

}  // namespace amalgam::core
