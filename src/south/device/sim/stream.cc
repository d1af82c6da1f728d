// SPDX-License-Identifier: Apache-2.0
#include "south/device/sim/stream.h"

#include <algorithm>
#include <cstring>

#include "south/device/sim/kernel.h"

namespace amalgam::south::sim {
namespace {

/// One end of a transfer as rows of memory.
struct Rows {
  Extent memory;
  uint64_t start = 0, row = 0, slice = 0;

  std::byte* at(uint64_t y, uint64_t z) const { return memory.data + start + y * row + z * slice; }
};

Rows rows_of(const Place& place, bool rect, const std::array<uint64_t, 3>& extent) {
  Rows rows;
  // Heap memory was checked by the core, which alone knows its bounds.
  rows.memory =
      place.region != nullptr ? static_cast<SimRegion*>(place.region)->extent() : Extent{nullptr, place.heap, UINT64_MAX};
  if (!rect) {
    rows.start = place.region != nullptr ? place.offset : 0;
    return rows;
  }
  rows.row = place.row_pitch != 0 ? place.row_pitch : extent[0];
  rows.slice = place.slice_pitch != 0 ? place.slice_pitch : rows.row * extent[1];
  rows.start = place.origin[0] + place.origin[1] * rows.row + place.origin[2] * rows.slice;
  return rows;
}

bool fits(const Rows& rows, const std::array<uint64_t, 3>& box) {
  using Wide = unsigned __int128;
  Wide last = Wide{rows.start} + Wide{box[1] - 1} * rows.row + Wide{box[2] - 1} * rows.slice + box[0];
  return last <= rows.memory.size;
}

bool local_size_fits(const LaunchRange& range) {
  uint64_t items = 1;
  for (int axis = 0; axis < range.dimensions; ++axis) {
    if (range.local[axis] == 0 || range.global[axis] % range.local[axis] != 0) return false;
    items *= range.local[axis];
  }
  return items <= kMaxWorkGroup;
}

constexpr uint64_t kMaxItems = uint64_t{1} << 32;  // the sim really runs them

}  // namespace

SimStream::Events SimStream::order() {
  if (in_order_) return live_;
  return barrier_ != nullptr ? Events{barrier_} : Events{};
}

void SimStream::forget_ended() {
  std::erase_if(live_, [&](const auto& event) { return world_->is_over(*event); });
  if (barrier_ != nullptr && world_->is_over(*barrier_)) barrier_ = nullptr;
}

Result<EventPtr> SimStream::enqueue(Work work, Waits waits, const Events& after) {
  if (world_->is_lost(device_)) return lost();
  auto command = std::make_shared<Command>();
  command->label = std::move(work.label);
  command->kernel = std::move(work.kernel);
  command->device = device_;
  command->engine = work.engine;
  command->duration_ns = work.duration_ns;
  command->effect = std::move(work.effect);
  command->event = std::make_shared<SimEvent>(world_, false);
  world_->submit(command, waits, after);
  if (in_order_) live_.clear();
  live_.push_back(command->event);
  unflushed_.push_back(command);
  return command->event;
}

Result<EventPtr> SimStream::launch(Kernel& kernel, const LaunchRange& range, Waits waits) {
  auto& sim = static_cast<SimKernel&>(kernel);
  if (range.dimensions < 1 || range.dimensions > 3) return refuse("launch: dimensions", CL_INVALID_WORK_DIMENSION);
  uint64_t items = 1;
  for (int axis = 0; axis < range.dimensions; ++axis) {
    if (range.global[axis] == 0 || range.global[axis] > kMaxItems / items) {
      return refuse("launch: global size", CL_INVALID_GLOBAL_WORK_SIZE);
    }
    items *= range.global[axis];
  }
  if (range.has_local && !local_size_fits(range)) return refuse("launch: local size", CL_INVALID_WORK_GROUP_SIZE);
  for (const ArgValue& arg : sim.args()) {
    if (!arg.is_set) return refuse("launch: an argument is not set", CL_INVALID_KERNEL_ARGS);
  }
  forget_ended();
  Work work{"launch " + sim.name(), sim.name(), Engine::kCompute,
            world_->launch_ns(items) + extra_ns(sim.builtin(), sim.args()),
            [&builtin = sim.builtin(), args = sim.args(), range] { return builtin.run(range, args); }};
  return enqueue(std::move(work), waits);
}

Result<EventPtr> SimStream::transfer(const Place& from, const Place& to, bool rect, const std::array<uint64_t, 3>& extent,
                                     Waits waits) {
  if (from.is_image || to.is_image) return unsupported("transfer: image");
  const std::array<uint64_t, 3> box = rect ? extent : std::array<uint64_t, 3>{extent[0], 1, 1};
  if (box[0] == 0 || box[1] == 0 || box[2] == 0) return refuse("transfer: empty", CL_INVALID_VALUE);
  Rows source = rows_of(from, rect, box), target = rows_of(to, rect, box);
  if (!fits(source, box) || !fits(target, box)) return refuse("transfer: beyond the region", CL_INVALID_VALUE);
  forget_ended();
  Work work{"transfer", "", Engine::kLink, world_->transfer_ns(device_, box[0] * box[1] * box[2]), [source, target, box] {
              for (uint64_t z = 0; z < box[2]; ++z) {
                for (uint64_t y = 0; y < box[1]; ++y) std::memmove(target.at(y, z), source.at(y, z), box[0]);
              }
              return CL_COMPLETE;
            }};
  return enqueue(std::move(work), waits);
}

Result<EventPtr> SimStream::fill(const Place& to, const std::array<uint64_t, 3>& extent, std::span<const std::byte> pattern,
                                 Waits waits) {
  if (to.is_image) return unsupported("fill: image");
  const uint64_t size = extent[0];
  const bool whole = !pattern.empty() && pattern.size() <= kMaxFillPattern && (pattern.size() & (pattern.size() - 1)) == 0;
  if (!whole || size % pattern.size() != 0 || (to.region != nullptr && to.offset % pattern.size() != 0)) {
    return refuse("fill: pattern", CL_INVALID_VALUE);
  }
  Rows target = rows_of(to, false, {size, 1, 1});
  if (!fits(target, {size, 1, 1})) return refuse("fill: beyond the region", CL_INVALID_VALUE);
  forget_ended();
  Work work{"fill", "", Engine::kLink, world_->transfer_ns(device_, size),
            [target, size, bytes = Bytes(pattern.begin(), pattern.end())] {
              for (uint64_t at = 0; at < size; at += bytes.size())
                std::memcpy(target.at(0, 0) + at, bytes.data(), bytes.size());
              return CL_COMPLETE;
            }};
  return enqueue(std::move(work), waits);
}

Result<EventPtr> SimStream::marker(protocol::MarkerKind kind, Waits waits) {
  const bool barrier = kind == protocol::MarkerKind::kBarrier;
  forget_ended();
  Work work{barrier ? "barrier" : "marker", "", Engine::kNone, 0, nullptr};
  if (in_order_) return enqueue(std::move(work), waits);
  // Without a wait list it stands for everything before it; and nothing overtakes an earlier barrier.
  Events after = waits.empty() ? live_ : order();
  auto event = enqueue(std::move(work), waits, after);
  if (event && barrier) barrier_ = std::static_pointer_cast<SimEvent>(*event);
  return event;
}

Result<EventPtr> SimStream::migrate(std::span<Region* const> regions, uint64_t /*flags*/, Waits waits) {
  if (regions.empty()) return refuse("migrate: no regions", CL_INVALID_VALUE);
  uint64_t bytes = 0;
  for (Region* region : regions) bytes += static_cast<SimRegion*>(region)->extent().size;
  forget_ended();
  return enqueue({"migrate", "", Engine::kLink, world_->transfer_ns(device_, bytes), nullptr}, waits);
}

void SimStream::flush() {
  std::vector<CommandPtr> commands = std::move(unflushed_);
  unflushed_.clear();
  world_->flush(commands);
}

}  // namespace amalgam::south::sim
