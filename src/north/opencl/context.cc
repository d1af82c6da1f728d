// SPDX-License-Identifier: Apache-2.0
// Contexts: creation, queries, destructor callbacks.
//
// A context lies in one driver: its devices must come from one library and platform of it. The context properties are
// checked here and, but for the platform, passed on.
#include "north/opencl/context.h"

#include <algorithm>

#include "north/opencl/complain.h"
#include "north/opencl/sub_device.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {

cl_int read_context_properties(const cl_context_properties* properties, cl_platform_id platform,
                               std::vector<cl_context_properties>& given, std::vector<int64_t>& passed) {
  given.clear();
  passed.clear();
  if (properties == nullptr) return CL_SUCCESS;
  for (size_t at = 0; properties[at] != 0; at += 2) {
    const cl_context_properties key = properties[at], value = properties[at + 1];
    for (size_t i = 0; i < given.size(); i += 2)
      if (given[i] == key) return CL_INVALID_PROPERTY;
    switch (key) {
      case CL_CONTEXT_PLATFORM:
        if (reinterpret_cast<cl_platform_id>(value) != platform) return CL_INVALID_PLATFORM;
        break;
      case CL_CONTEXT_INTEROP_USER_SYNC:
        if (value != CL_TRUE && value != CL_FALSE) return CL_INVALID_PROPERTY;
        passed.insert(passed.end(), {key, value});
        break;
      case CL_CONTEXT_MEMORY_INITIALIZE_KHR: passed.insert(passed.end(), {key, value}); break;
      default: return CL_INVALID_PROPERTY;
    }
    given.insert(given.end(), {key, value});
  }
  given.push_back(0);
  if (!passed.empty()) passed.push_back(0);
  return CL_SUCCESS;
}

bool same_driver(cl_device_id a, cl_device_id b) {
  const model::Device &one = a->entry.device, &other = b->entry.device;
  return one.backend == other.backend && one.library == other.library && one.driver_index == other.driver_index;
}

void destroy(cl_context context) {
  // No lock: nobody else can know the context any more.
  for (auto callback = context->destructors.rbegin(); callback != context->destructors.rend(); ++callback) (*callback)();
  for (const auto& [address, block] : context->svm_blocks) release_id(*context->session, block.id);
  release_id(*context->session, context->id);
  for (cl_device_id device : context->devices) drop(device);
  context->kind = Kind::kDead;
  delete context;
}

namespace {

using Notify = void(CL_CALLBACK*)(const char*, const void*, size_t, void*);

/// The program's devices without repetitions; the code that says what is wrong with them.
cl_int take_devices(cl_uint count, const cl_device_id* devices, std::vector<cl_device_id>& taken, std::string& reason) {
  for (cl_uint i = 0; i < count; ++i) {
    cl_device_id device = devices[i];
    if (!valid(device, Kind::kDevice)) return CL_INVALID_DEVICE;
    if (std::find(taken.begin(), taken.end(), device) != taken.end()) continue;
    if (!taken.empty() && !same_driver(taken[0], device)) {
      reason = "devices " + taken[0]->entry.device.id + " and " + device->entry.device.id +
               " belong to different drivers and cannot share a context";
      return CL_INVALID_DEVICE;
    }
    taken.push_back(device);
  }
  return CL_SUCCESS;
}

/// Session and ids of the devices; CL_DEVICE_NOT_AVAILABLE if one is not reachable (any more).
cl_int reach_devices(const std::vector<cl_device_id>& devices, client::Session*& session, std::string& reason) {
  auto opened = Runtime::get().session();
  if (!opened) {
    reason = opened.error().text();
    complain(opened.error().text());
    return to_cl(opened.error(), CL_DEVICE_NOT_AVAILABLE);
  }
  session = *opened;
  for (cl_device_id device : devices) {
    if (device->id != 0 && device->session == session) continue;
    reason = "device " + device->entry.device.id + " is not in this program's session (any more)";
    return CL_DEVICE_NOT_AVAILABLE;
  }
  return CL_SUCCESS;
}

cl_int open_context(_cl_context& context, const std::vector<int64_t>& passed, std::string& reason) {
  client::Session& session = *context.session;
  NewId id(session);
  const std::vector<protocol::ObjectId> devices = ids_of(context.devices);
  protocol::CreateContext message;
  message.id = id.get();
  message.devices = devices;
  message.properties = passed;
  if (id.get() == 0) {
    reason = "there are too many objects (objects of `amalgam limits`)";
    return CL_OUT_OF_RESOURCES;
  }
  if (auto made = session.call(message); !made) {
    reason = made.error().text();
    return to_cl(made.error(), session.death_status(CL_DEVICE_NOT_AVAILABLE));
  }
  context.id = id.keep();
  return CL_SUCCESS;
}

cl_context make_context(const cl_context_properties* properties, cl_uint count, const cl_device_id* devices, Notify notify,
                        void* user_data, cl_int* errcode_ret) {
  if (notify == nullptr && user_data != nullptr) return refuse(errcode_ret, CL_INVALID_VALUE);
  auto context = std::make_unique<_cl_context>();
  std::vector<int64_t> passed;
  cl_int bad = read_context_properties(properties, Runtime::get().platform(), context->properties, passed);
  if (bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  std::string reason;
  bad = take_devices(count, devices, context->devices, reason);
  if (bad == CL_SUCCESS) bad = reach_devices(context->devices, context->session, reason);
  if (bad == CL_SUCCESS) bad = open_context(*context, passed, reason);
  if (bad != CL_SUCCESS) {
    if (!reason.empty() && notify != nullptr) notify(("Amalgam: " + reason).c_str(), nullptr, 0, user_data);
    return refuse(errcode_ret, bad);
  }
  context->shared = context->svm = true;
  for (cl_device_id device : context->devices) {
    retained(device);
    context->shared &= device->shared();
    context->svm &= device_number(device, CL_DEVICE_SVM_CAPABILITIES) != 0;
  }
  if (notify != nullptr)
    context->notify = [notify, user_data](const char* text, const void* data, size_t size) {
      notify(text, data, size, user_data);
    };
  report(errcode_ret, CL_SUCCESS);
  return context.release();
}

}  // namespace

namespace api {

cl_context clCreateContext(const cl_context_properties* properties, cl_uint count, const cl_device_id* devices,
                           Notify notify, void* user_data, cl_int* errcode_ret) {
  if (count == 0 || devices == nullptr) return refuse(errcode_ret, CL_INVALID_VALUE);
  return make_context(properties, count, devices, notify, user_data, errcode_ret);
}

cl_context clCreateContextFromType(const cl_context_properties* properties, cl_device_type type, Notify notify,
                                   void* user_data, cl_int* errcode_ret) {
  std::vector<cl_device_id> devices;
  cl_uint count = 0;
  cl_int found = api::clGetDeviceIDs(Runtime::get().platform(), type, 0, nullptr, &count);
  if (found != CL_SUCCESS) return refuse(errcode_ret, found);
  for (cl_device_id device : devices_of_type(type))
    if (devices.empty() || same_driver(devices[0], device)) devices.push_back(device);
  return make_context(properties, static_cast<cl_uint>(devices.size()), devices.data(), notify, user_data, errcode_ret);
}

cl_int clRetainContext(cl_context context) {
  if (!valid(context, Kind::kContext)) return CL_INVALID_CONTEXT;
  retained(context);
  return CL_SUCCESS;
}

cl_int clReleaseContext(cl_context context) {
  if (!valid(context, Kind::kContext)) return CL_INVALID_CONTEXT;
  drop(context);
  return CL_SUCCESS;
}

cl_int clGetContextInfo(cl_context context, cl_context_info param, size_t room, void* out, size_t* size_ret) {
  if (!valid(context, Kind::kContext)) return CL_INVALID_CONTEXT;
  switch (param) {
    case CL_CONTEXT_REFERENCE_COUNT: return answer(context->references.load(), room, out, size_ret);
    case CL_CONTEXT_NUM_DEVICES: return answer(static_cast<cl_uint>(context->devices.size()), room, out, size_ret);
    case CL_CONTEXT_DEVICES:
      return answer(context->devices.data(), context->devices.size() * sizeof(cl_device_id), room, out, size_ret);
    case CL_CONTEXT_PROPERTIES:
      return answer(context->properties.data(), context->properties.size() * sizeof(cl_context_properties), room, out,
                    size_ret);
    default: return CL_INVALID_VALUE;
  }
}

cl_int clSetContextDestructorCallback(cl_context context, void(CL_CALLBACK* callback)(cl_context, void*), void* user_data) {
  if (!valid(context, Kind::kContext)) return CL_INVALID_CONTEXT;
  if (callback == nullptr) return CL_INVALID_VALUE;
  std::lock_guard lock(context->mutex);
  context->destructors.push_back([=] { callback(context, user_data); });
  return CL_SUCCESS;
}

}  // namespace api
}  // namespace amalgam::opencl
