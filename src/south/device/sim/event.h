// SPDX-License-Identifier: Apache-2.0
// SimEvent: the end of a command, or a user event. Its state belongs to the world and is guarded by the world's mutex.
//
// Threads: any. Lifetime: shared; nothing points back to it but what waits for it.
#pragma once

#include "south/device/sim/world.h"

namespace amalgam::south::sim {

class SimEvent final : public Event, public std::enable_shared_from_this<SimEvent> {
 public:
  SimEvent(const std::shared_ptr<World>& world, bool is_user)
      : world_(world), is_user_(is_user), status_(is_user ? CL_SUBMITTED : CL_QUEUED) {}

  void on_complete(std::function<void(const Outcome&)> done) override;
  void on_status(int32_t status, std::function<void(int32_t)> reached) override;
  Result<void> signal(int32_t status) override;
  Outcome poll() override;

 private:
  friend class World;

  struct Watch {
    int32_t status;
    std::function<void(const Outcome&)> reached;
  };
  struct Dependent {
    CommandPtr command;
    bool inherits_failure;
  };

  std::weak_ptr<World> world_;
  const bool is_user_;
  int32_t status_;
  protocol::Timestamps times_;
  std::vector<Watch> watches_;
  std::vector<Dependent> dependents_;
};

}  // namespace amalgam::south::sim
