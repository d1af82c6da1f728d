// SPDX-License-Identifier: Apache-2.0
#include "south/device/sim/event.h"

namespace amalgam::south::sim {

void SimEvent::on_complete(std::function<void(const Outcome&)> done) {
  if (auto world = world_.lock()) return world->watch(*this, CL_COMPLETE, std::move(done));
  done(poll());
}

void SimEvent::on_status(int32_t status, std::function<void(int32_t)> reached) {
  auto told = [reached = std::move(reached)](const Outcome& outcome) { reached(outcome.status); };
  if (auto world = world_.lock()) return world->watch(*this, status, std::move(told));
  told(poll());
}

Result<void> SimEvent::signal(int32_t status) {
  if (auto world = world_.lock()) return world->signal(*this, status);
  return lost();
}

Outcome SimEvent::poll() {
  if (auto world = world_.lock()) return world->outcome(*this);
  return {status_ > CL_COMPLETE ? CL_DEVICE_NOT_AVAILABLE : status_, times_};
}

}  // namespace amalgam::south::sim
