// SPDX-License-Identifier: Apache-2.0
// Markers, barriers, flush and finish.
#include "north/opencl/enqueue.h"

namespace amalgam::opencl {
namespace {

cl_int marker(cl_command_queue queue, const WaitList& waits, cl_event* event) {
  if (queue->in_order) {
    std::lock_guard lock(queue->mutex);
    if (!queue->session->dead() && in_turn(queue, waits)) {
      if (event != nullptr) give_local_event(queue, CL_COMMAND_MARKER, protocol::monotonic_ns(), event);
      return CL_SUCCESS;
    }
  }
  protocol::Marker message;
  return submit(queue, message, waits, CL_COMMAND_MARKER, event, false);
}

/// On an unordered queue the last barrier is remembered: what the client does itself must come after it.
cl_int barrier(cl_command_queue queue, const WaitList& waits, cl_event* event) {
  protocol::Marker message;
  message.kind = protocol::MarkerKind::kBarrier;
  if (queue->in_order) return submit(queue, message, waits, CL_COMMAND_BARRIER, event, false);
  cl_event made = nullptr;
  if (cl_int result = submit(queue, message, waits, CL_COMMAND_BARRIER, &made, false); result != CL_SUCCESS) return result;
  made->retain();
  client::Event* before;
  {
    std::lock_guard lock(queue->mutex);
    before = std::exchange(queue->barrier, made);
  }
  if (before != nullptr) before->release();
  if (event != nullptr)
    *event = made;
  else
    drop_event(made);
  return CL_SUCCESS;
}

}  // namespace

namespace api {

cl_int clEnqueueMarkerWithWaitList(cl_command_queue queue, cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (cl_int bad = begin_enqueue(queue, count, events, waits); bad != CL_SUCCESS) return bad;
  return marker(queue, waits, event);
}

cl_int clEnqueueBarrierWithWaitList(cl_command_queue queue, cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (cl_int bad = begin_enqueue(queue, count, events, waits); bad != CL_SUCCESS) return bad;
  return barrier(queue, waits, event);
}

cl_int clEnqueueMarker(cl_command_queue queue, cl_event* event) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (event == nullptr) return CL_INVALID_VALUE;
  return marker(queue, WaitList(), event);
}

cl_int clEnqueueBarrier(cl_command_queue queue) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  return barrier(queue, WaitList(), nullptr);
}

cl_int clEnqueueWaitForEvents(cl_command_queue queue, cl_uint count, const cl_event* events) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (count == 0 || events == nullptr) return CL_INVALID_VALUE;
  for (cl_uint i = 0; i < count; ++i)
    if (!valid(events[i], Kind::kEvent)) return CL_INVALID_EVENT;
  WaitList waits;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  return barrier(queue, waits, nullptr);
}

cl_int clFlush(cl_command_queue queue) {
  // Every enqueue is in the ring and the worker awake already.
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  return queue->session->dead() ? queue->session->death_status() : CL_SUCCESS;
}

cl_int clFinish(cl_command_queue queue) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  return queue->session->finish(*queue) ? CL_SUCCESS : queue->session->death_status();
}

}  // namespace api
}  // namespace amalgam::opencl
