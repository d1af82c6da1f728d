// SPDX-License-Identifier: Apache-2.0
// UserEvents: the driver's user events that nobody has ended yet. Each is ended once, by whoever comes first: a client's
// SignalEvent, the end of a gate or of a cut launch, the end of the session.
//
// Threads: any. Blocking: never.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "core/session/state/objects.h"

namespace amalgam::core {

class UserEvents {
 public:
  Result<south::EventPtr> make(ContextObject& context);
  /// kInvalidArgument: it has ended before.
  Result<void> signal(const south::EventPtr& event, int32_t status);
  /// The same where another may have been faster. A status above 0 counts as 0.
  void end(const south::EventPtr& event, int32_t status);
  bool is_waiting(const south::EventPtr& event);
  /// Ends all that are left.
  void end_all(int32_t status);

 private:
  bool take(const south::EventPtr& event);

  std::mutex mutex_;
  std::unordered_map<south::Event*, std::weak_ptr<south::Event>> waiting_;
  size_t sweep_at_ = 0;
};

}  // namespace amalgam::core
