// SPDX-License-Identifier: Apache-2.0
// clCreateSubDevices: the driver partitions, we keep a handle for each part with the properties that differ from its
// parent's.
#include "north/opencl/sub_device.h"

#include <cstring>

#include "north/opencl/util.h"

namespace amalgam::opencl {
namespace {

constexpr size_t kMaxParts = 4096;

// Every other property of a part is its parent's.
constexpr cl_uint kOwnProperties[] = {
    CL_DEVICE_MAX_COMPUTE_UNITS,     CL_DEVICE_PARTITION_MAX_SUB_DEVICES,
    CL_DEVICE_PARTITION_PROPERTIES,  CL_DEVICE_PARTITION_AFFINITY_DOMAIN,
    CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, CL_DEVICE_BUILT_IN_KERNELS,
    CL_DEVICE_MAX_WORK_GROUP_SIZE,   CL_DEVICE_LOCAL_MEM_SIZE,
};

void replace_property(model::Device& device, cl_uint key, const client::Payload& bytes) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  for (model::Property& property : device.properties)
    if (property.interface == model::Interface::kOpenCl && property.key == key)
      property.value.assign(data, data + bytes.size());
}

cl_device_id make_part(cl_device_id parent, protocol::ObjectId id,
                       const std::vector<cl_device_partition_property>& partition) {
  auto* device = new _cl_device_id;
  device->entry = parent->entry;
  device->index = parent->index;
  device->session = parent->session;
  device->id = id;
  device->platform = parent->platform;
  device->parent = retained(parent);
  device->partition = partition;
  for (cl_uint key : kOwnProperties) {
    protocol::Query query;
    query.target = protocol::QueryTarget::kDevice;
    query.object = id;
    query.param = key;
    if (auto bytes = ask(*device->session, query)) replace_property(device->entry.device, key, *bytes);
  }
  return device;
}

Result<uint32_t> count_parts(cl_device_id parent, const std::vector<int64_t>& properties) {
  protocol::CreateSubDevices message;
  message.device = parent->id;
  message.properties = properties;
  auto payload = parent->session->call(message);
  if (!payload) return std::unexpected(std::move(payload.error()));
  auto reply = parent->session->read<protocol::CountReply>(*payload);
  if (!reply) return std::unexpected(std::move(reply.error()));
  if (reply->count > kMaxParts) return fail(Code::kLimit, "too many parts", CL_OUT_OF_RESOURCES);
  return reply->count;
}

cl_int make_parts(cl_device_id parent, const std::vector<int64_t>& properties, uint32_t count,
                  std::vector<protocol::ObjectId>& ids) {
  client::Session& session = *parent->session;
  while (ids.size() < count) {
    protocol::ObjectId id = session.ids().make(nullptr);
    if (id == 0) return CL_OUT_OF_RESOURCES;
    ids.push_back(id);
  }
  protocol::CreateSubDevices message;
  message.device = parent->id;
  message.properties = properties;
  message.ids = ids;
  auto made = session.call(message);
  return made ? CL_SUCCESS : to_cl(made.error(), CL_DEVICE_NOT_AVAILABLE);
}

}  // namespace

std::vector<cl_device_partition_property> read_partition(const cl_device_partition_property* properties) {
  std::vector<cl_device_partition_property> list;
  if (properties == nullptr || properties[0] == 0) return list;
  list.push_back(properties[0]);
  size_t at = 1;
  if (properties[0] == CL_DEVICE_PARTITION_BY_COUNTS) {
    while (properties[at] != CL_DEVICE_PARTITION_BY_COUNTS_LIST_END && at < kMaxParts) list.push_back(properties[at++]);
  }
  // The one value of the other types, or the end of the counts.
  list.push_back(properties[at++]);
  if (properties[at] != 0) return {};
  list.push_back(0);
  return list;
}

namespace api {

cl_int clCreateSubDevices(cl_device_id device, const cl_device_partition_property* properties, cl_uint room,
                          cl_device_id* devices, cl_uint* count_ret) {
  if (!valid(device, Kind::kDevice)) return CL_INVALID_DEVICE;
  if (properties == nullptr || (devices != nullptr && room == 0)) return CL_INVALID_VALUE;
  const std::vector<cl_device_partition_property> partition = read_partition(properties);
  if (partition.empty()) return CL_INVALID_VALUE;
  if (device->parent == nullptr) {
    auto session = Runtime::get().session();
    if (!session) return to_cl(session.error(), CL_DEVICE_NOT_AVAILABLE);
  }
  if (device->session == nullptr || device->id == 0 || device->session->dead()) return CL_DEVICE_NOT_AVAILABLE;
  const std::vector<int64_t> list(partition.begin(), partition.end());
  auto count = count_parts(device, list);
  if (!count) return to_cl(count.error());
  if (count_ret != nullptr) *count_ret = *count;
  if (devices == nullptr) return CL_SUCCESS;
  if (room < *count) return CL_INVALID_VALUE;
  std::vector<protocol::ObjectId> ids;
  if (cl_int bad = make_parts(device, list, *count, ids); bad != CL_SUCCESS) {
    for (protocol::ObjectId id : ids) device->session->ids().free(id);
    return bad;
  }
  for (uint32_t i = 0; i < *count; ++i) devices[i] = make_part(device, ids[i], partition);
  return CL_SUCCESS;
}

}  // namespace api
}  // namespace amalgam::opencl
