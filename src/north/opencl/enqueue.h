// SPDX-License-Identifier: Apache-2.0
// What every enqueue shares: the wait list, the event, and the two ways that a command can take.
//
//   submit()        the worker does it: one frame into the ring, or (checked) the driver's verdict first
//   host_command()  the client does it (copies between program memory and shared regions, native kernels): at once by the
//                   calling thread if the queue has nothing before it, else behind a gate (ARCHITECTURE.md)
//
// Rule for choosing `checked`: if this file's callers have proved every precondition of the specification themselves, the
// command goes unchecked and costs no answer. Anything unusual is checked: the driver then says what is wrong with it, and
// the code comes back from the call that the specification names.
//
// Threads: a queue's mutex is held from the check that it is idle to the end of a direct copy, and across every send.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "north/opencl/objects.h"

namespace amalgam::opencl {

/// The events that a command must wait for, as the worker needs them. The worker is told that an event has gone when nobody
/// holds it, and must not hear of it after that: the program holds its own until the call returns.
class WaitList {
 public:
  /// Checks a wait list as the specification does: CL_INVALID_EVENT_WAIT_LIST, CL_INVALID_CONTEXT, CL_OUT_OF_RESOURCES (too
  /// long). Complete events are left out.
  cl_int take(cl_context context, cl_uint count, const cl_event* events);
  /// The same for one of ours, which is held as long as this list.
  cl_int take_own(cl_event event);
  std::span<const protocol::ObjectId> ids() const {
    return more_.empty() ? std::span<const protocol::ObjectId>(few_.data(), count_)
                         : std::span<const protocol::ObjectId>(more_);
  }
  /// Nothing to wait for.
  bool clear() const { return pending_ == 0 && !failed_; }
  /// One of them has failed: blocking calls return CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST.
  bool failed() const { return failed_; }
  /// Waits for all; false if one failed or the session died.
  bool wait(client::Session& session, cl_uint count, const cl_event* events);

 private:
  std::array<protocol::ObjectId, 8> few_;
  std::vector<protocol::ObjectId> more_;
  std::vector<std::shared_ptr<client::Event>> own_;  ///< each a hold
  size_t count_ = 0;
  size_t pending_ = 0;
  bool failed_ = false;
};

/// Queue and context alive and of the right kind, wait list legal: what every enqueue begins with.
cl_int begin_enqueue(cl_command_queue queue, cl_uint count, const cl_event* events, WaitList& waits);

/// True if a command with these waits would run at once: then the caller may do it itself. Caller holds queue->mutex.
bool in_turn(cl_command_queue queue, const WaitList& waits);

/// An event that the client itself has completed, with times in the device's clock; stored in *out if out is not null.
void give_local_event(cl_command_queue queue, cl_command_type type, uint64_t began_ns, cl_event* out);

/// A new pending event with an id on the waist, of a queue or of nobody's (null); null at the bound of objects.
cl_event make_event(cl_context context, cl_command_queue queue, cl_command_type type);

/// After a checked enqueue that was refused: nobody will see this event.
inline void forget_event(cl_event event) {
  if (event != nullptr) drop_event(event);
}

/// Gives `message` (any enqueue of the waist; its head is filled here) to the worker. On success *out (if asked for) is the
/// event. Unchecked: CL_OUT_OF_RESOURCES if the session is dead or full. Checked: the driver's verdict.
template <typename M>
cl_int submit(cl_command_queue queue, M& message, const WaitList& waits, cl_command_type type, cl_event* out, bool checked) {
  client::Session& session = *queue->session;
  if (!session.throttle()) return session.death_status();
  cl_event event = nullptr;
  if (out != nullptr) {
    event = make_event(queue->context, queue, type);
    if (event == nullptr) return CL_OUT_OF_RESOURCES;
  }
  message.head = {queue->id, event != nullptr ? event->id() : 0, waits.ids()};
  cl_int result = CL_SUCCESS;
  {
    std::lock_guard lock(queue->mutex);
    if (checked) {
      if (auto sent = session.enqueue_checked(*queue, message, event); !sent) result = to_cl(sent.error());
    } else if (!session.enqueue(*queue, message, event)) {
      result = CL_OUT_OF_RESOURCES;
    }
  }
  if (result != CL_SUCCESS)
    forget_event(event);
  else if (out != nullptr)
    *out = event;
  return result;
}

/// Blocking tail of a submitted command: waits for `event`, drops it unless the program asked for it (out ≠ null).
cl_int finish_blocking(cl_event event, cl_event* out);

/// The slow way of host_command: behind a gate, waiting for its end if `blocking`.
cl_int gated_command(cl_command_queue queue, const WaitList& waits, cl_command_type type, bool blocking,
                     std::function<int32_t()> work, cl_event* out);

/// Blocking calls: waits until the queue and the events leave nothing before the caller. False if the session died or a wait
/// failed.
bool wait_for_turn(cl_command_queue queue, WaitList& waits, cl_uint count, const cl_event* events);

/// Runs `work` (returns 0 or a negative status; touches only program memory and heap ranges, which must stay valid until the
/// event ends) in the queue's order, in this process.
template <typename Work>
cl_int host_command(cl_command_queue queue, WaitList& waits, cl_uint count, const cl_event* events, cl_command_type type,
                    bool blocking, Work work, cl_event* out) {
  // A blocking caller may as well wait here and then do the work itself; if other threads keep the queue busy, it queues up.
  for (int tries = 0; tries < 2; ++tries) {
    {
      std::lock_guard lock(queue->mutex);
      if (queue->session->dead()) return queue->session->death_status();
      if (in_turn(queue, waits)) {
        uint64_t began = out != nullptr ? protocol::monotonic_ns() : 0;
        int32_t status = work();
        if (status < 0) return status;
        if (out != nullptr) give_local_event(queue, type, began, out);
        return CL_SUCCESS;
      }
    }
    if (!blocking) break;
    if (waits.failed()) return CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
    if (!wait_for_turn(queue, waits, count, events))
      return queue->session->dead() ? queue->session->death_status() : CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
  }
  return gated_command(queue, waits, type, blocking, std::move(work), out);
}

}  // namespace amalgam::opencl
