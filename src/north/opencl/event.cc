// SPDX-License-Identifier: Apache-2.0
// Events: waiting, queries, callbacks, user events.
#include "north/opencl/enqueue.h"

_cl_event::~_cl_event() {
  if (queue != nullptr) amalgam::opencl::drop(queue);
  amalgam::opencl::drop(context);
}

namespace amalgam::opencl {

void drop_event(cl_event event) {
  if (event->references.fetch_sub(1, std::memory_order_acq_rel) == 1) event->release();
}

namespace api {

cl_int clWaitForEvents(cl_uint count, const cl_event* events) {
  if (count == 0 || events == nullptr) return CL_INVALID_VALUE;
  for (cl_uint i = 0; i < count; ++i)
    if (!valid(events[i], Kind::kEvent)) return CL_INVALID_EVENT;
  for (cl_uint i = 1; i < count; ++i)
    if (events[i]->context != events[0]->context) return CL_INVALID_CONTEXT;
  bool failed = false;
  for (cl_uint i = 0; i < count; ++i) {
    if (!events[i]->session()->wait(*events[i])) return events[i]->session()->death_status();
    failed |= events[i]->status() < 0;
  }
  return failed ? CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST : CL_SUCCESS;
}

cl_int clGetEventInfo(cl_event event, cl_event_info param, size_t room, void* out, size_t* size_ret) {
  if (!valid(event, Kind::kEvent)) return CL_INVALID_EVENT;
  switch (param) {
    case CL_EVENT_COMMAND_QUEUE: return answer(event->queue, room, out, size_ret);
    case CL_EVENT_CONTEXT: return answer(event->context, room, out, size_ret);
    case CL_EVENT_COMMAND_TYPE: return answer(event->type, room, out, size_ret);
    case CL_EVENT_REFERENCE_COUNT: return answer(event->references.load(), room, out, size_ret);
    case CL_EVENT_COMMAND_EXECUTION_STATUS: {
      if (!event->done()) event->session()->poll();
      return answer(static_cast<cl_int>(event->status()), room, out, size_ret);
    }
    default: return CL_INVALID_VALUE;
  }
}

cl_int clRetainEvent(cl_event event) {
  if (!valid(event, Kind::kEvent)) return CL_INVALID_EVENT;
  retained(event);
  return CL_SUCCESS;
}

cl_int clReleaseEvent(cl_event event) {
  if (!valid(event, Kind::kEvent)) return CL_INVALID_EVENT;
  drop_event(event);
  return CL_SUCCESS;
}

cl_int clGetEventProfilingInfo(cl_event event, cl_profiling_info param, size_t room, void* out, size_t* size_ret) {
  if (!valid(event, Kind::kEvent)) return CL_INVALID_EVENT;
  if (event->queue == nullptr || !event->queue->profiling()) return CL_PROFILING_INFO_NOT_AVAILABLE;
  if (!event->done()) event->session()->poll();
  if (event->status() != client::kComplete) return CL_PROFILING_INFO_NOT_AVAILABLE;
  const protocol::Timestamps& times = event->times();
  switch (param) {
    case CL_PROFILING_COMMAND_QUEUED: return answer<cl_ulong>(times.queued, room, out, size_ret);
    case CL_PROFILING_COMMAND_SUBMIT: return answer<cl_ulong>(times.submitted, room, out, size_ret);
    case CL_PROFILING_COMMAND_START: return answer<cl_ulong>(times.started, room, out, size_ret);
    case CL_PROFILING_COMMAND_END:
    case CL_PROFILING_COMMAND_COMPLETE: return answer<cl_ulong>(times.ended, room, out, size_ret);
    default: return CL_INVALID_VALUE;
  }
}

cl_event clCreateUserEvent(cl_context context, cl_int* error) {
  cl_int ignored;
  if (error == nullptr) error = &ignored;
  if (!valid(context, Kind::kContext)) {
    *error = CL_INVALID_CONTEXT;
    return nullptr;
  }
  auto* event = new _cl_event(context->session, context, nullptr, CL_COMMAND_USER);
  event->settle(client::kSubmitted, {});
  if (!event->adopt_id_as_user() || !context->session->post(protocol::CreateUserEvent{event->id(), context->id})) {
    drop_event(event);
    *error = CL_OUT_OF_RESOURCES;
    return nullptr;
  }
  *error = CL_SUCCESS;
  return event;
}

cl_int clSetUserEventStatus(cl_event event, cl_int status) {
  if (!valid(event, Kind::kEvent) || event->type != CL_COMMAND_USER) return CL_INVALID_EVENT;
  if (status > CL_COMPLETE) return CL_INVALID_VALUE;
  if (!event->settle(status, {})) return CL_INVALID_OPERATION;
  return event->session()->post(protocol::SignalEvent{event->id(), status}) ? CL_SUCCESS : CL_OUT_OF_RESOURCES;
}

cl_int clSetEventCallback(cl_event event, cl_int at, void(CL_CALLBACK* notify)(cl_event, cl_int, void*), void* user_data) {
  if (!valid(event, Kind::kEvent)) return CL_INVALID_EVENT;
  if (notify == nullptr || (at != CL_COMPLETE && at != CL_RUNNING && at != CL_SUBMITTED)) return CL_INVALID_VALUE;
  event->retain();  // the handle is passed to the callback, also if the program has released it by then
  bool watch = at != CL_COMPLETE && event->status() > at && event->queue != nullptr;
  event->when(at, [event, notify, user_data](int32_t status) {
    notify(event, status, user_data);
    event->release();
  });
  if (watch) event->session()->post(protocol::WatchEvent{event->id(), at});
  return CL_SUCCESS;
}

}  // namespace api
}  // namespace amalgam::opencl
