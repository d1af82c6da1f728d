// SPDX-License-Identifier: Apache-2.0
// Command queues: creation, queries, release. A queue is a stream of the waist.
#include "north/opencl/queue.h"

#include <algorithm>
#include <cstring>

#include "north/opencl/enqueue.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {

cl_int read_queue_properties(const cl_queue_properties* properties, bool hints, std::vector<cl_queue_properties>& given,
                             cl_command_queue_properties& bits) {
  constexpr cl_command_queue_properties kHost = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE;
  constexpr cl_command_queue_properties kDevice = CL_QUEUE_ON_DEVICE | CL_QUEUE_ON_DEVICE_DEFAULT;
  given.clear();
  bits = 0;
  if (properties == nullptr) return CL_SUCCESS;
  bool sized = false;
  for (size_t at = 0; properties[at] != 0; at += 2) {
    const cl_queue_properties key = properties[at], value = properties[at + 1];
    if (key == CL_QUEUE_PROPERTIES) {
      if ((value & ~(kHost | kDevice)) != 0) return CL_INVALID_VALUE;
      bits = value;
    } else if (key == CL_QUEUE_SIZE) {
      sized = true;
    } else if (!hints || (key != CL_QUEUE_PRIORITY_KHR && key != CL_QUEUE_THROTTLE_KHR)) {
      return CL_INVALID_VALUE;
    }
    given.insert(given.end(), {key, value});
  }
  given.push_back(0);
  if ((bits & CL_QUEUE_ON_DEVICE_DEFAULT) != 0 && (bits & CL_QUEUE_ON_DEVICE) == 0) return CL_INVALID_VALUE;
  if ((bits & CL_QUEUE_ON_DEVICE) != 0) return CL_INVALID_QUEUE_PROPERTIES;
  return sized ? CL_INVALID_VALUE : CL_SUCCESS;
}

void destroy(cl_command_queue queue) {
  client::Session& session = *queue->session;
  if (queue->barrier != nullptr) queue->barrier->release();
  release_id(session, queue->id);
  session.leave(*queue);
  drop(queue->context);
  queue->kind = amalgam::opencl::Kind::kDead;
  delete queue;
}

namespace {

/// Device time − our clock by the driver's own timer; 0 if it has none.
int64_t ask_device_clock(cl_command_queue queue) {
  protocol::Query query;
  query.target = protocol::QueryTarget::kDeviceTimer;
  query.object = queue->device->id;
  const uint64_t before = protocol::monotonic_ns();
  auto payload = ask(*queue->session, query);
  const uint64_t after = protocol::monotonic_ns();
  cl_ulong device_ns = 0;
  if (!payload || payload->size() < sizeof device_ns) return 0;
  std::memcpy(&device_ns, payload->data(), sizeof device_ns);
  return static_cast<int64_t>(device_ns - (before + (after - before) / 2));
}

/// The same by what markers say of their end. We see it too late by the way back, so the largest difference of several is
/// the nearest; and too small is the side on which our own commands begin after what they followed.
int64_t measure_device_clock(cl_command_queue queue) {
  constexpr int kMarkers = 4;
  int64_t largest = 0;
  for (int i = 0; i < kMarkers; ++i) {
    protocol::Marker marker;
    cl_event event = nullptr;
    if (submit(queue, marker, WaitList(), CL_COMMAND_MARKER, &event, false) != CL_SUCCESS) return largest;
    const bool ended = queue->session->wait(*event) && event->status() == client::kComplete && event->times().ended != 0;
    const auto difference = static_cast<int64_t>(event->times().ended - protocol::monotonic_ns());
    drop_event(event);
    if (!ended) return largest;
    if (i == 0 || difference > largest) largest = difference;
  }
  return largest;
}

/// Once a context: profiling times of commands that we do ourselves must fit the device's.
void learn_device_clock(cl_command_queue queue) {
  cl_context context = queue->context;
  {
    std::lock_guard lock(context->mutex);
    if (context->device_clock != 0) return;
  }
  int64_t clock = ask_device_clock(queue);
  if (clock == 0) clock = measure_device_clock(queue);
  std::lock_guard lock(context->mutex);
  context->device_clock = clock;
}

cl_command_queue make_queue(cl_context context, cl_device_id device, const cl_queue_properties* passed,
                            std::vector<cl_queue_properties> given, cl_command_queue_properties bits, cl_int* errcode_ret) {
  client::Session& session = *context->session;
  if (session.dead()) return refuse(errcode_ret, session.death_status(CL_DEVICE_NOT_AVAILABLE));
  auto queue = std::make_unique<_cl_command_queue>(&session);
  queue->device = device;
  queue->properties = bits;
  queue->in_order = (bits & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) == 0;
  queue->property_list = std::move(given);
  queue->id = session.ids().make(queue.get());
  if (queue->id == 0) return refuse(errcode_ret, CL_OUT_OF_RESOURCES);
  protocol::CreateStream message;
  message.id = queue->id;
  message.context = context->id;
  message.device = device->id;
  size_t count = 0;
  while (passed != nullptr && passed[count] != 0) count += 2;
  if (passed != nullptr) message.properties = {passed, count + 1};
  if (auto made = session.call(message); !made) {
    session.ids().free(queue->id);
    return refuse(errcode_ret, to_cl(made.error(), CL_DEVICE_NOT_AVAILABLE));
  }
  queue->context = retained(context);
  if (queue->profiling()) learn_device_clock(queue.get());
  report(errcode_ret, CL_SUCCESS);
  return queue.release();
}

bool has_device(cl_context context, cl_device_id device) {
  return std::find(context->devices.begin(), context->devices.end(), device) != context->devices.end();
}

}  // namespace

namespace api {

cl_command_queue clCreateCommandQueueWithProperties(cl_context context, cl_device_id device,
                                                    const cl_queue_properties* properties, cl_int* errcode_ret) {
  if (!valid(context, Kind::kContext)) return refuse(errcode_ret, CL_INVALID_CONTEXT);
  if (!valid(device, Kind::kDevice) || !has_device(context, device)) return refuse(errcode_ret, CL_INVALID_DEVICE);
  const bool hints = has_extension(device, "cl_khr_priority_hints") || has_extension(device, "cl_khr_throttle_hints");
  std::vector<cl_queue_properties> given;
  cl_command_queue_properties bits = 0;
  if (cl_int bad = read_queue_properties(properties, hints, given, bits); bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  return make_queue(context, device, properties, std::move(given), bits, errcode_ret);
}

cl_command_queue clCreateCommandQueue(cl_context context, cl_device_id device, cl_command_queue_properties bits,
                                      cl_int* errcode_ret) {
  if (!valid(context, Kind::kContext)) return refuse(errcode_ret, CL_INVALID_CONTEXT);
  if (!valid(device, Kind::kDevice) || !has_device(context, device)) return refuse(errcode_ret, CL_INVALID_DEVICE);
  if ((bits & ~cl_command_queue_properties{CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE}) != 0)
    return refuse(errcode_ret, CL_INVALID_VALUE);
  const cl_queue_properties passed[] = {CL_QUEUE_PROPERTIES, bits, 0};
  return make_queue(context, device, passed, {}, bits, errcode_ret);
}

cl_int clRetainCommandQueue(cl_command_queue queue) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  retained(queue);
  return CL_SUCCESS;
}

cl_int clReleaseCommandQueue(cl_command_queue queue) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  drop(queue);
  return CL_SUCCESS;
}

cl_int clGetCommandQueueInfo(cl_command_queue queue, cl_command_queue_info param, size_t room, void* out, size_t* size_ret) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  switch (param) {
    case CL_QUEUE_CONTEXT: return answer(queue->context, room, out, size_ret);
    case CL_QUEUE_DEVICE: return answer(queue->device, room, out, size_ret);
    case CL_QUEUE_REFERENCE_COUNT: return answer(queue->references.load(), room, out, size_ret);
    case CL_QUEUE_PROPERTIES: return answer(queue->properties, room, out, size_ret);
    case CL_QUEUE_SIZE: return CL_INVALID_COMMAND_QUEUE;  // asked of device-side queues only
    case CL_QUEUE_DEVICE_DEFAULT: return answer(cl_command_queue{nullptr}, room, out, size_ret);
    case CL_QUEUE_PROPERTIES_ARRAY:
      return answer(queue->property_list.data(), queue->property_list.size() * sizeof(cl_queue_properties), room, out,
                    size_ret);
    default: return CL_INVALID_VALUE;
  }
}

cl_int clSetCommandQueueProperty(cl_command_queue queue, cl_command_queue_properties, cl_bool,
                                 cl_command_queue_properties*) {
  // Gone since OpenCL 1.1; the common drivers refuse it too.
  return valid(queue, Kind::kQueue) ? CL_INVALID_OPERATION : CL_INVALID_COMMAND_QUEUE;
}

cl_int clSetDefaultDeviceCommandQueue(cl_context context, cl_device_id device, cl_command_queue) {
  if (!valid(context, Kind::kContext)) return CL_INVALID_CONTEXT;
  if (!valid(device, Kind::kDevice) || !has_device(context, device)) return CL_INVALID_DEVICE;
  return CL_INVALID_OPERATION;  // no device of ours has queues of its own
}

}  // namespace api
}  // namespace amalgam::opencl
