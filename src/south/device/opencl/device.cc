// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/device.h"

#include <deque>
#include <mutex>

namespace amalgam::south::opencl {
namespace {

/// The list as a driver wants it: of intptr_t, ended with 0 whatever the caller sent.
std::vector<cl_device_partition_property> terminated(std::span<const int64_t> properties) {
  std::vector<cl_device_partition_property> list(properties.begin(), properties.end());
  list.push_back(0);
  return list;
}

/// Parameters whose value is an address in this process, or counts our references and not the program's.
bool is_private(uint32_t param) {
  return param == CL_DEVICE_PLATFORM || param == CL_DEVICE_PARENT_DEVICE || param == CL_DEVICE_REFERENCE_COUNT;
}

/// Sub-devices that were given back, the oldest in front. PoCL 3.1's queues do not keep theirs alive, and its threads look
/// at it once more after they have told that a command has ended; so a sub-device stays until so many others have gone.
class Attic {
 public:
  void add(cl_device_id device) {
    std::lock_guard lock(mutex_);
    kept_.push_back(device);
    if (kept_.size() <= kMostSubDevicesKept) return;
    table_of(kept_.front()).clReleaseDevice(kept_.front());
    kept_.pop_front();
  }

 private:
  static constexpr size_t kMostSubDevicesKept = 256;  // some kilobytes each
  std::mutex mutex_;
  std::deque<cl_device_id> kept_;
};

}  // namespace

void release(cl_device_id h) {
  static auto& attic = *new Attic;  // never destroyed: drivers' threads outlive main()
  attic.add(h);
}

Result<Bytes> ClDevice::query(uint32_t param) {
  if (is_private(param)) return fail(Code::kUnsupported, "clGetDeviceInfo: the front door answers this", CL_INVALID_VALUE);
  return AMALGAM_CL_QUERY(*platform_, id_, clGetDeviceInfo, id_, param);
}

Result<uint32_t> ClDevice::count_parts(std::span<const int64_t> properties) {
  std::vector<cl_device_partition_property> list = terminated(properties);
  cl_uint count = 0;
  AMALGAM_TRY(AMALGAM_CL(*platform_, id_, clCreateSubDevices, id_, list.data(), 0, nullptr, &count), "count parts");
  return count;
}

Result<std::vector<std::unique_ptr<Device>>> ClDevice::partition(std::span<const int64_t> properties) {
  auto count = count_parts(properties);
  if (!count) return fail(std::move(count.error()));
  std::vector<cl_device_partition_property> list = terminated(properties);
  std::vector<cl_device_id> ids(*count);
  cl_uint made = 0;
  AMALGAM_TRY(AMALGAM_CL(*platform_, id_, clCreateSubDevices, id_, list.data(), *count, ids.data(), &made), "partition");
  std::vector<std::unique_ptr<Device>> parts;
  for (cl_device_id id : std::span(ids).first(std::min(made, *count))) {
    parts.push_back(std::make_unique<ClDevice>(platform_, Owned<cl_device_id>(id)));
  }
  return parts;
}

Result<std::array<uint64_t, 2>> ClDevice::timer() {
  cl_ulong device_ns = 0, host_ns = 0;
  AMALGAM_TRY(AMALGAM_CL(*platform_, id_, clGetDeviceAndHostTimer, id_, &device_ns, &host_ns), "timer");
  return std::array<uint64_t, 2>{device_ns, host_ns};
}

std::vector<cl_device_id> handles_of(std::span<Device* const> devices) {
  std::vector<cl_device_id> ids;
  ids.reserve(devices.size());
  for (Device* device : devices) ids.push_back(static_cast<ClDevice*>(device)->id());
  return ids;
}

}  // namespace amalgam::south::opencl
