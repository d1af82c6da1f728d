// SPDX-License-Identifier: Apache-2.0
// SettledEvent: an event that ended in another worker. It has no driver: nothing waits for it, whoever asks is answered at
// once.
//
// Threads: any.
#pragma once

#include <algorithm>

#include "core/session/state/natives.h"
#include "south/device/device.h"

namespace amalgam::core {

class SettledEvent final : public south::Event {
 public:
  explicit SettledEvent(south::Outcome outcome) : outcome_(outcome) { outcome_.status = std::min(outcome.status, 0); }
  void on_complete(std::function<void(const south::Outcome&)> done) override { done(outcome_); }
  void on_status(int32_t, std::function<void(int32_t)> reached) override { reached(outcome_.status); }
  Result<void> signal(int32_t) override {
    return fail(Code::kInvalidArgument, "the event has ended before", native::kInvalidOperation);
  }
  south::Outcome poll() override { return outcome_; }

 private:
  south::Outcome outcome_;
};

}  // namespace amalgam::core
