// SPDX-License-Identifier: Apache-2.0
#include "core/session/cutting/piece_runner.h"

#include <algorithm>

#include "core/session/state/natives.h"
#include "core/session/state/stand_in.h"

namespace amalgam::core {
namespace {

/// From the first start to the last end; queued and submitted where its place in the stream was, if it needed one.
void add_times(CutLaunch& cut, const protocol::Timestamps& piece) {
  if (piece.ended == 0) return;
  bool is_first = cut.times.ended == 0;
  if (is_first && !cut.is_placed) cut.times = piece;
  cut.times.started = is_first ? piece.started : std::min(cut.times.started, piece.started);
  cut.times.ended = std::max(cut.times.ended, piece.ended);
}

}  // namespace

Result<south::EventPtr> PieceRunner::issue(const CutPtr& cut, StreamObject& stream, south::Waits waits) {
  auto user = parts_.users.make(*stream.context);
  if (!user) return user;
  cut->user = *user;
  auto reached_event = stand_in(stream, waits, **user, cut->follower);
  if (!reached_event) return reached_event;
  parts_.counters.launches.fetch_add(1, std::memory_order_relaxed);
  if (*reached_event == nullptr) {
    feeder_.add(cut);
    return user;
  }
  (*reached_event)->on_complete([this, cut, pending = parts_.callbacks.one()](const south::Outcome& outcome) mutable {
    parts_.mailbox.send([this, cut, outcome] { reached(cut, outcome); });
    pending.reset();
  });
  return user;
}

void PieceRunner::reached(const CutPtr& cut, const south::Outcome& outcome) {
  if (outcome.status < 0) return abandon(cut, outcome.status);
  cut->is_placed = outcome.times.ended != 0;
  cut->times.queued = outcome.times.queued;
  cut->times.submitted = outcome.times.submitted;
  feeder_.add(cut);
}

Result<south::Stream*> PieceRunner::lane_of(const StreamObject& stream) {
  auto& lanes = stream.context->lanes;
  for (auto& [device, lane] : lanes)
    if (device.get() == stream.device.get()) return lane.get();
  // Out of order: pieces depend on nothing, and one begins while the last groups of another run out.
  auto made = stream.context->context->create_stream(*stream.device->device, native::kOutOfOrder);
  if (!made) made = stream.context->context->create_stream(*stream.device->device, {});
  if (!made) return std::unexpected(std::move(made.error()));
  return lanes.emplace_back(stream.device, std::move(*made)).second.get();
}

std::optional<uint32_t> PieceRunner::start() {
  std::optional<uint32_t> refused;
  const uint32_t devices = std::min(parts_.devices, model::kMaxSessionDevices);
  for (uint32_t device = 0; device < devices; ++device) {
    while (CutPtr cut = feeder_.next_finished(device)) {
      if (!release(cut)) {
        refused = device;
        break;
      }
    }
    while (CutPtr cut = feeder_.next(device)) {
      if (!parts_.turnstile.enter(device)) {
        refused = device;
        break;
      }
      start_piece(cut);
    }
  }
  return refused;
}

/// Has passed the turnstile.
void PieceRunner::start_piece(const CutPtr& cut) {
  const uint32_t device = cut->stream->device->index;
  uint32_t now_us = parts_.planner.piece_us(*cut->stream->device);
  uint64_t target_ns = now_us == 0 ? cut->target_ns : uint64_t{now_us} * 1000;
  uint64_t most = cut->smallest ? 1 : cut->pace->next(target_ns, cut->last, cut->kernel->bounds.compute_units);
  auto box = cut->grid.box_at(cut->next, std::max(most, cut->least), cut->grid.groups());
  auto launch = [&]() -> Result<south::EventPtr> {
    auto lane = lane_of(*cut->stream);
    if (!lane) return std::unexpected(std::move(lane.error()));
    if (cut->passes_piece) {
      south::Argument argument;
      argument.index = cut->piece_argument;
      argument.size = sizeof box.piece;
      argument.bytes = std::as_bytes(std::span(&box.piece, 1));
      if (auto set = cut->instance->kernel->set_arg(argument); !set) return std::unexpected(std::move(set.error()));
    }
    south::LaunchRange range{
        static_cast<uint8_t>(box.range.dimensions), true, true, box.range.offset, box.range.global, box.range.local};
    auto event = (*lane)->launch(*cut->instance->kernel, range, {});
    if (event) (*lane)->flush();
    return event;
  };
  auto event = launch();
  if (!event) {
    parts_.turnstile.leave(device);
    return abandon(cut, event.error().native < 0 ? event.error().native : native::kOutOfResources);
  }
  cut->next += box.groups;
  cut->last = box.groups;
  ++cut->in_flight;
  feeder_.started(cut);
  parts_.counters.pieces.fetch_add(1, std::memory_order_relaxed);
  (*event)->on_complete(
      [this, cut, device, groups = box.groups, pending = parts_.callbacks.one()](const south::Outcome& outcome) mutable {
        parts_.turnstile.leave(device);
        cut->pace->learn(groups, parts_.time.count(device, outcome));
        parts_.mailbox.send([this, cut, outcome] { piece_ended(cut, outcome); });
        pending.reset();
      });
}

void PieceRunner::piece_ended(const CutPtr& cut, const south::Outcome& outcome) {
  feeder_.ended(*cut);
  --cut->in_flight;
  add_times(*cut, outcome.times);
  if (outcome.status < 0) return abandon(cut, outcome.status);
  if (!cut->has_more() && cut->in_flight == 0) feeder_.finished(cut);
}

/// No further piece; it fails when those in flight have ended.
void PieceRunner::abandon(const CutPtr& cut, int32_t status) {
  if (cut->status == 0) cut->status = status;
  feeder_.take_out(cut);
  cut->next = cut->grid.groups();
  if (cut->in_flight == 0) feeder_.finished(cut);
}

/// Ends it, if what comes after it may go to the device now.
bool PieceRunner::release(const CutPtr& cut) {
  const uint32_t device = cut->stream->device->index;
  {
    std::lock_guard lock(cut->backlog->mutex);
    for (uint64_t entered = 0; entered < cut->backlog->count; ++entered) {
      if (parts_.turnstile.enter(device)) continue;
      for (; entered > 0; --entered) parts_.turnstile.leave(device);
      return false;
    }
    cut->backlog->released = true;
  }
  feeder_.released(*cut);
  auto& idle = cut->kernel->instances;
  if (idle.size() < kMaxSpareKernels) idle.push_back(std::move(cut->instance));
  parts_.users.end(cut->user, cut->status);
  cut->follower.reset();
  return true;
}

}  // namespace amalgam::core
