// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/enqueue.h"

#include <algorithm>

#include "base/limits.h"

namespace amalgam::opencl {

cl_int WaitList::take(cl_context context, cl_uint count, const cl_event* events) {
  if ((count == 0) != (events == nullptr)) return CL_INVALID_EVENT_WAIT_LIST;
  if (count == 0) return CL_SUCCESS;
  for (cl_uint i = 0; i < count; ++i) {
    cl_event event = events[i];
    if (!valid(event, Kind::kEvent)) return CL_INVALID_EVENT_WAIT_LIST;
    if (event->context != context) return CL_INVALID_CONTEXT;
    int32_t status = event->status();
    if (status == client::kComplete) continue;
    if (status < 0)
      failed_ = true;
    else
      ++pending_;
    if (event->id() == 0) continue;
    if (ids().size() == kMaxWaitList) return CL_OUT_OF_RESOURCES;
    if (count_ < few_.size() && more_.empty()) {
      few_[count_++] = event->id();
      continue;
    }
    if (more_.empty()) more_.assign(few_.begin(), few_.end());
    more_.push_back(event->id());
  }
  return CL_SUCCESS;
}

cl_int WaitList::take_own(cl_event event) {
  event->client::Event::retain();
  own_.emplace_back(event, [](client::Event* held) { held->release(); });
  return take(event->context, 1, &event);
}

bool WaitList::wait(client::Session& session, cl_uint count, const cl_event* events) {
  for (cl_uint i = 0; i < count; ++i) {
    if (!session.wait(*events[i])) return false;
    if (events[i]->status() < 0) failed_ = true;
  }
  pending_ = 0;
  return !failed_;
}

cl_int begin_enqueue(cl_command_queue queue, cl_uint count, const cl_event* events, WaitList& waits) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  return waits.take(queue->context, count, events);
}

bool in_turn(cl_command_queue queue, const WaitList& waits) {
  if (!waits.clear()) return false;
  if (queue->in_order) return queue->idle();
  if (queue->barrier == nullptr) return true;
  if (!queue->barrier->done()) return false;
  queue->barrier->release();
  queue->barrier = nullptr;
  return true;
}

cl_event make_event(cl_context context, cl_command_queue queue, cl_command_type type) {
  auto* event = new _cl_event(context->session, context, queue, type);
  if (event->adopt_id()) return event;
  drop_event(event);
  return nullptr;
}

namespace {

/// A moment of our clock in the device's. The two are matched to some microseconds only, so what this process does in a
/// queue's order is never put before an end that the queue has shown already.
uint64_t local_time(cl_command_queue queue, uint64_t monotonic) {
  const uint64_t time = monotonic + static_cast<uint64_t>(queue->context->device_clock);
  return queue->in_order ? std::max(time, queue->last_ended.load(std::memory_order_relaxed)) : time;
}

}  // namespace

void give_local_event(cl_command_queue queue, cl_command_type type, uint64_t began_ns, cl_event* out) {
  auto* event = new _cl_event(queue->session, queue->context, queue, type);
  const uint64_t began = local_time(queue, began_ns), ended = std::max(began, local_time(queue, protocol::monotonic_ns()));
  queue->note_end(ended);
  event->settle(client::kComplete, {began, began, began, ended});
  *out = event;
}

cl_int finish_blocking(cl_event event, cl_event* out) {
  client::Session& session = *event->session();
  bool alive = session.wait(*event);
  int32_t status = event->status();
  if (out != nullptr)
    *out = event;
  else
    drop_event(event);
  if (!alive) return session.death_status();
  return status < 0 ? CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST : CL_SUCCESS;
}

cl_int gated_command(cl_command_queue queue, const WaitList& waits, cl_command_type type, bool blocking,
                     std::function<int32_t()> work, cl_event* out) {
  client::Session& session = *queue->session;
  if (!session.throttle()) return session.death_status();
  cl_event event = make_event(queue->context, queue, type);
  if (event == nullptr) return CL_OUT_OF_RESOURCES;
  // No driver sees the work, so its times are ours. The gate holds the event, and that queue and context, as long as the
  // work.
  auto timed = [event, queue, queued = local_time(queue, protocol::monotonic_ns()), work = std::move(work)] {
    const uint64_t began = std::max(queued, local_time(queue, protocol::monotonic_ns()));
    const int32_t status = work();
    const uint64_t ended = std::max(began, local_time(queue, protocol::monotonic_ns()));
    queue->note_end(ended);
    event->note_times({queued, began, began, ended});
    return status;
  };
  {
    std::lock_guard lock(queue->mutex);
    if (!session.enqueue_gate(*queue, waits.ids(), *event, std::move(timed))) {
      forget_event(event);
      return session.death_status();
    }
  }
  if (blocking) return finish_blocking(event, out);
  if (out != nullptr)
    *out = event;
  else
    drop_event(event);
  return CL_SUCCESS;
}

bool wait_for_turn(cl_command_queue queue, WaitList& waits, cl_uint count, const cl_event* events) {
  client::Session& session = *queue->session;
  if (!waits.wait(session, count, events)) return false;
  if (queue->in_order) return session.finish(*queue);
  client::Event* barrier = nullptr;
  {
    std::lock_guard lock(queue->mutex);
    barrier = queue->barrier;
    if (barrier != nullptr) barrier->retain();
  }
  if (barrier == nullptr) return !session.dead();
  bool alive = session.wait(*barrier);
  barrier->release();
  return alive;
}

}  // namespace amalgam::opencl
