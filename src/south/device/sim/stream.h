// SPDX-License-Identifier: Apache-2.0
// SimStream: turns enqueues into commands of the world and keeps their order.
//
// Threads: dispatcher. Lifetime: what was flushed goes on without the stream; what was not is flushed at its end.
#pragma once

#include <memory>

#include "south/device/sim/event.h"
#include "south/device/sim/region.h"

namespace amalgam::south::sim {

class SimStream final : public Stream {
 public:
  SimStream(std::shared_ptr<World> world, uint32_t device, bool in_order)
      : world_(std::move(world)), device_(device), in_order_(in_order) {}
  ~SimStream() override { flush(); }

  Result<EventPtr> launch(Kernel& kernel, const LaunchRange& range, Waits waits) override;
  Result<EventPtr> transfer(const Place& from, const Place& to, bool rect, const std::array<uint64_t, 3>& extent,
                            Waits waits) override;
  Result<EventPtr> fill(const Place& to, const std::array<uint64_t, 3>& extent, std::span<const std::byte> pattern,
                        Waits waits) override;
  Result<EventPtr> marker(protocol::MarkerKind kind, Waits waits) override;
  Result<EventPtr> migrate(std::span<Region* const> regions, uint64_t flags, Waits waits) override;
  void flush() override;
  bool in_order() const override { return in_order_; }

 private:
  struct Work {
    std::string label, kernel;
    Engine engine = Engine::kNone;
    uint64_t duration_ns = 0;
    std::function<int32_t()> effect;
  };
  using Events = std::vector<std::shared_ptr<SimEvent>>;

  Result<EventPtr> enqueue(Work work, Waits waits, const Events& after);
  Result<EventPtr> enqueue(Work work, Waits waits) { return enqueue(std::move(work), waits, order()); }
  Events order();
  void forget_ended();

  std::shared_ptr<World> world_;
  const uint32_t device_;
  const bool in_order_;
  Events live_;                        ///< out of order: not yet ended; in order: the last one
  std::shared_ptr<SimEvent> barrier_;  ///< out of order: what later commands come after
  std::vector<CommandPtr> unflushed_;
};

}  // namespace amalgam::south::sim
