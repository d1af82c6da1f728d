// SPDX-License-Identifier: Apache-2.0
// Contexts: creation, queries, destructor callbacks.
//
// A context lies in one driver, as its devices do who have one platform. The context properties are checked here and, but
// for the platform, passed on.
#include "north/opencl/context.h"

#include <algorithm>
#include <functional>

#include "north/opencl/complain.h"
#include "north/opencl/sub_device.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {

cl_int read_context_properties(const cl_context_properties* properties, const std::vector<cl_platform_id>& platforms,
                               ContextProperties& read) {
  read = {};
  if (properties == nullptr) return CL_SUCCESS;
  for (size_t at = 0; properties[at] != 0; at += 2) {
    const cl_context_properties key = properties[at], value = properties[at + 1];
    for (size_t i = 0; i < read.given.size(); i += 2)
      if (read.given[i] == key) return CL_INVALID_PROPERTY;
    switch (key) {
      case CL_CONTEXT_PLATFORM:
        read.platform = reinterpret_cast<cl_platform_id>(value);
        if (std::find(platforms.begin(), platforms.end(), read.platform) == platforms.end()) return CL_INVALID_PLATFORM;
        break;
      case CL_CONTEXT_INTEROP_USER_SYNC:
        if (value != CL_TRUE && value != CL_FALSE) return CL_INVALID_PROPERTY;
        read.passed.insert(read.passed.end(), {key, value});
        break;
      case CL_CONTEXT_MEMORY_INITIALIZE_KHR: read.passed.insert(read.passed.end(), {key, value}); break;
      default: return CL_INVALID_PROPERTY;
    }
    read.given.insert(read.given.end(), {key, value});
  }
  read.given.push_back(0);
  if (!read.passed.empty()) read.passed.push_back(0);
  return CL_SUCCESS;
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

/// The devices of a new context, given the platform that its properties name (or null); the code that says what is wrong
/// with them.
using Choose = std::function<cl_int(cl_platform_id named, std::vector<cl_device_id>& chosen, std::string& reason)>;

/// The program's devices without repetitions.
cl_int take_devices(cl_uint count, const cl_device_id* devices, cl_platform_id platform, std::vector<cl_device_id>& taken,
                    std::string& reason) {
  for (cl_uint i = 0; i < count; ++i) {
    cl_device_id device = devices[i];
    if (!valid(device, Kind::kDevice)) return CL_INVALID_DEVICE;
    if (platform == nullptr) platform = device->platform;
    if (device->platform != platform) {
      reason = "device " + device->entry.device.id + " belongs to another platform than the context";
      return CL_INVALID_DEVICE;
    }
    if (std::find(taken.begin(), taken.end(), device) == taken.end()) taken.push_back(device);
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

cl_context make_context(const cl_context_properties* properties, const Choose& choose, Notify notify, void* user_data,
                        cl_int* errcode_ret) {
  if (notify == nullptr && user_data != nullptr) return refuse(errcode_ret, CL_INVALID_VALUE);
  ContextProperties read;
  cl_int bad = read_context_properties(properties, Runtime::get().platforms(), read);
  if (bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  auto context = std::make_unique<_cl_context>();
  context->properties = std::move(read.given);
  std::string reason;
  bad = choose(read.platform, context->devices, reason);
  if (bad == CL_SUCCESS) bad = reach_devices(context->devices, context->session, reason);
  if (bad == CL_SUCCESS) bad = open_context(*context, read.passed, reason);
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
  auto choose = [&](cl_platform_id named, std::vector<cl_device_id>& chosen, std::string& reason) {
    return take_devices(count, devices, named, chosen, reason);
  };
  return make_context(properties, choose, notify, user_data, errcode_ret);
}

cl_context clCreateContextFromType(const cl_context_properties* properties, cl_device_type type, Notify notify,
                                   void* user_data, cl_int* errcode_ret) {
  auto choose = [&](cl_platform_id named, std::vector<cl_device_id>& chosen, std::string&) {
    const std::vector<cl_platform_id>& platforms = Runtime::get().platforms();
    if (platforms.empty()) return CL_INVALID_PLATFORM;
    if (!is_device_type(type)) return CL_INVALID_DEVICE_TYPE;
    chosen = devices_of_type(named == nullptr ? platforms[0] : named, type);
    return chosen.empty() ? CL_DEVICE_NOT_FOUND : CL_SUCCESS;
  };
  return make_context(properties, choose, notify, user_data, errcode_ret);
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
