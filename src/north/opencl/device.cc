// SPDX-License-Identifier: Apache-2.0
// Devices: listing, queries, clocks. Sub-devices are made in sub_device.cc.
#include <cstring>

#include "north/opencl/shapes.h"
#include "north/opencl/sub_device.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {

void destroy(cl_device_id device) {
  if (device->parent == nullptr) return;
  if (device->session != nullptr) release_id(*device->session, device->id);
  drop(device->parent);
  device->kind = Kind::kDead;
  delete device;
}

namespace {

bool matches(cl_device_id device, cl_device_type type) {
  const cl_device_type own = device_number(device, CL_DEVICE_TYPE);
  if (type == CL_DEVICE_TYPE_ALL) return (own & CL_DEVICE_TYPE_CUSTOM) == 0;
  if ((type & CL_DEVICE_TYPE_DEFAULT) != 0 && device == device->platform->devices[0]) return true;
  return (own & type & ~cl_device_type{CL_DEVICE_TYPE_DEFAULT}) != 0;
}

/// The two clocks of the device's driver at one moment.
cl_int read_clocks(cl_device_id device, cl_ulong (&clocks)[2]) {
  if (device->parent == nullptr) {
    auto session = Runtime::get().session();
    if (!session) return to_cl(session.error());
  }
  if (device->session == nullptr || device->id == 0) return CL_OUT_OF_RESOURCES;
  protocol::Query query;
  query.target = protocol::QueryTarget::kDeviceTimer;
  query.object = device->id;
  auto payload = ask(*device->session, query);
  if (!payload) return to_cl(payload.error());
  if (payload->size() < sizeof clocks) return CL_OUT_OF_RESOURCES;
  std::memcpy(clocks, payload->data(), sizeof clocks);
  return CL_SUCCESS;
}

/// Pointers to texts that lie one after the other, each with its zero. They live as long as the device.
std::vector<const char*> pointers_to(const std::vector<uint8_t>& texts) {
  std::vector<const char*> pointers;
  const char* end = reinterpret_cast<const char*>(texts.data() + texts.size());
  for (const char* at = reinterpret_cast<const char*>(texts.data()); at < end; at += std::strlen(at) + 1)
    pointers.push_back(at);
  return pointers;
}

}  // namespace

bool is_device_type(cl_device_type type) {
  constexpr cl_device_type kAny =
      CL_DEVICE_TYPE_DEFAULT | CL_DEVICE_TYPE_CPU | CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR | CL_DEVICE_TYPE_CUSTOM;
  return type == CL_DEVICE_TYPE_ALL || (type != 0 && (type & ~kAny) == 0);
}

std::vector<cl_device_id> devices_of_type(cl_platform_id platform, cl_device_type type) {
  std::vector<cl_device_id> found;
  for (cl_device_id device : platform->devices)
    if (matches(device, type)) found.push_back(device);
  return found;
}

namespace api {

cl_int clGetDeviceIDs(cl_platform_id platform, cl_device_type type, cl_uint room, cl_device_id* devices, cl_uint* count) {
  if (!valid(platform, Kind::kPlatform)) return CL_INVALID_PLATFORM;
  if ((room == 0 && devices != nullptr) || (devices == nullptr && count == nullptr)) return CL_INVALID_VALUE;
  if (!is_device_type(type)) return CL_INVALID_DEVICE_TYPE;
  const std::vector<cl_device_id> found = devices_of_type(platform, type);
  if (count != nullptr) *count = static_cast<cl_uint>(found.size());
  if (found.empty()) return CL_DEVICE_NOT_FOUND;
  for (cl_uint i = 0; devices != nullptr && i < room && i < found.size(); ++i) devices[i] = found[i];
  return CL_SUCCESS;
}

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info param, size_t room, void* out, size_t* size_ret) {
  if (!valid(device, Kind::kDevice)) return CL_INVALID_DEVICE;
  switch (param) {
    case CL_DEVICE_PLATFORM: return answer(device->platform, room, out, size_ret);
    case CL_DEVICE_PARENT_DEVICE: return answer(device->parent, room, out, size_ret);
    case CL_DEVICE_REFERENCE_COUNT:
      return answer(device->parent == nullptr ? cl_uint{1} : device->references.load(), room, out, size_ret);
    case CL_DEVICE_PARTITION_TYPE:
      if (device->parent == nullptr) break;
      return answer(device->partition.data(), device->partition.size() * sizeof(cl_device_partition_property), room, out,
                    size_ret);
    default: break;
  }
  const std::vector<uint8_t>* value = device_property(device, param);
  if (value == nullptr) return CL_INVALID_VALUE;
  if (device_shape(param).kind == Shape::Kind::kTexts) {
    const std::vector<const char*> texts = pointers_to(*value);
    return answer(texts.data(), texts.size() * sizeof(char*), room, out, size_ret);
  }
  return answer(value->data(), value->size(), room, out, size_ret);
}

cl_int clGetDeviceAndHostTimer(cl_device_id device, cl_ulong* device_ns, cl_ulong* host_ns) {
  if (!valid(device, Kind::kDevice)) return CL_INVALID_DEVICE;
  cl_ulong clocks[2] = {};
  if (cl_int bad = read_clocks(device, clocks); bad != CL_SUCCESS) return bad;  // before null pointers, as drivers judge
  if (device_ns == nullptr || host_ns == nullptr) return CL_INVALID_VALUE;
  *device_ns = clocks[0];
  *host_ns = clocks[1];
  return CL_SUCCESS;
}

cl_int clGetHostTimer(cl_device_id device, cl_ulong* host_ns) {
  if (!valid(device, Kind::kDevice)) return CL_INVALID_DEVICE;
  cl_ulong clocks[2] = {};
  if (cl_int bad = read_clocks(device, clocks); bad != CL_SUCCESS) return bad;
  if (host_ns == nullptr) return CL_INVALID_VALUE;
  *host_ns = clocks[1];
  return CL_SUCCESS;
}

cl_int clRetainDevice(cl_device_id device) {
  if (!valid(device, Kind::kDevice)) return CL_INVALID_DEVICE;
  if (device->parent != nullptr) retained(device);
  return CL_SUCCESS;
}

cl_int clReleaseDevice(cl_device_id device) {
  if (!valid(device, Kind::kDevice)) return CL_INVALID_DEVICE;
  if (device->parent != nullptr) drop(device);
  return CL_SUCCESS;
}

}  // namespace api
}  // namespace amalgam::opencl
