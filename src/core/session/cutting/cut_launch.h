// SPDX-License-Identifier: Apache-2.0
// CutLaunch: one launch that runs in pieces, and Feeder: whose piece is next on which device.
//
//   launch ─▶ marker M ─▶ [Feeder: pieces, two in flight] ─▶ release ─▶ user event U ─▶ what comes after it
//             (its waits)   each through the turnstile
//
// What comes after a cut launch (in its stream, or because it waits for its event) is given to the driver at once, but can
// only run when U has ended. It must not count as in flight before: a session that is revoked in the middle would not leave
// the device until work is done that it may not do. So such commands are counted as *behind* the launch, and pass the
// turnstile all together when it is released.
//
// Threads: the dispatcher's, but for the backlog, which locks. Lifetime: shared; whoever drops the last reference deletes
// nothing of the driver's, because all of that hangs on Refs. Streams and events know the backlog only: a launch holds its
// stream, not the other way round.
#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "base/limits.h"
#include "core/session/cutting/pace.h"
#include "core/session/state/objects.h"
#include "core/split/cut.h"

namespace amalgam::core {

/// The commands that can only run when a cut launch has ended.
struct Backlog {
  std::mutex mutex;
  uint64_t count = 0;     ///< of them, those that work on the device and have not ended
  bool released = false;  ///< they are in flight now
};
using BacklogPtr = std::shared_ptr<Backlog>;

struct CutLaunch {
  Ref<StreamObject> stream;
  Ref<KernelObject> kernel;    ///< the program's
  Ref<KernelObject> instance;  ///< the pieces' own, with the launch's arguments
  split::Grid grid;
  bool passes_piece = false;    ///< the kernel takes a Piece as its last argument
  uint32_t piece_argument = 0;  ///< then: its index
  uint64_t least = 1;           ///< groups of a piece, at least
  bool smallest = false;        ///< pieces of `least` groups, whatever they take
  uint64_t target_ns = 0;       ///< what a piece should take, if the arbiter says nothing now
  std::shared_ptr<Pace> pace;
  std::vector<Ref<Object>> held;  ///< by its arguments, until its flight takes them over

  south::EventPtr user;
  south::EventPtr follower;  ///< what makes the stream wait for `user`
  uint64_t next = 0;         ///< first group that no piece has yet
  uint64_t last = 0;         ///< groups of the last piece
  uint64_t in_flight = 0;    ///< pieces
  int32_t status = 0;        ///< of the first piece that failed
  bool is_placed = false;    ///< its place in the stream has told when it was queued and submitted
  protocol::Timestamps times;
  BacklogPtr backlog = std::make_shared<Backlog>();

  bool has_more() const { return next < grid.groups(); }
};
using CutPtr = std::shared_ptr<CutLaunch>;

class Feeder {
 public:
  /// The launch may run. It stays until it has no more pieces and none in flight, and was taken out.
  void add(const CutPtr& cut) { queue_of(*cut).ready.push_back(cut); }
  /// The launch whose piece the device may have now; null if there is none, or enough are in flight.
  CutPtr next(uint32_t device) const {
    const Queue& at = queues_[device];
    return at.ready.empty() || at.in_flight >= kPiecesInFlight ? nullptr : at.ready.front();
  }
  /// The front's piece is in flight: it goes to the end of the line, or leaves it.
  void started(const CutPtr& cut) {
    Queue& at = queue_of(*cut);
    ++at.in_flight;
    take_out(cut);
    if (cut->has_more()) at.ready.push_back(cut);
  }
  void ended(const CutLaunch& cut) { --queue_of(cut).in_flight; }
  void take_out(const CutPtr& cut) { std::erase(queue_of(*cut).ready, cut); }

  /// Has run, and waits for the turn of what is behind it.
  void finished(const CutPtr& cut) { queue_of(*cut).finished.push_back(cut); }
  CutPtr next_finished(uint32_t device) const {
    return queues_[device].finished.empty() ? nullptr : queues_[device].finished.front();
  }
  void released(const CutLaunch& cut) { queue_of(cut).finished.pop_front(); }

  void clear() {
    for (Queue& at : queues_) at = Queue();
  }

 private:
  struct Queue {
    std::deque<CutPtr> ready, finished;
    uint64_t in_flight = 0;
  };
  Queue& queue_of(const CutLaunch& cut) { return queues_[cut.stream->device->index]; }
  Queue queues_[model::kMaxSessionDevices];
};

}  // namespace amalgam::core
