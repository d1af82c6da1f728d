// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/stream.h"

#include <cstring>

#include "south/device/opencl/kernel.h"
#include "south/device/opencl/region.h"

namespace amalgam::south::opencl {
namespace {

/// Whether the device speaks SVM; without it heap-to-heap work is done on the host.
bool device_has_svm(const Platform& platform, cl_device_id device) {
  if (platform.entry(device, &cl_icd_dispatch::clEnqueueSVMMemcpy) == nullptr) return false;
  cl_device_svm_capabilities capabilities = 0;
  auto get = platform.entry(device, &cl_icd_dispatch::clGetDeviceInfo);
  cl_int code = get(device, CL_DEVICE_SVM_CAPABILITIES, sizeof capabilities, &capabilities, nullptr);
  return code == CL_SUCCESS && capabilities != 0;
}

/// The program's list without its 0; `bits` gets the value of CL_QUEUE_PROPERTIES, which is taken out.
std::vector<cl_queue_properties> take_bits(std::span<const uint64_t> properties, cl_command_queue_properties& bits) {
  std::vector<cl_queue_properties> rest;
  for (size_t i = 0; i + 1 < properties.size() && properties[i] != 0; i += 2) {
    if (properties[i] == CL_QUEUE_PROPERTIES) {
      bits |= properties[i + 1];
    } else {
      rest.insert(rest.end(), {properties[i], properties[i + 1]});
    }
  }
  return rest;
}

Result<cl_command_queue> make_queue(const Platform& platform, cl_context context, cl_device_id device,
                                    const std::vector<cl_queue_properties>& rest, cl_command_queue_properties bits) {
  if (platform.entry(context, &cl_icd_dispatch::clCreateCommandQueueWithProperties) == nullptr) {
    if (!rest.empty()) return fail(missing_entry("clCreateCommandQueueWithProperties"));
    return AMALGAM_CL_CREATE(platform, context, clCreateCommandQueue, context, device, bits);
  }
  std::vector<cl_queue_properties> list = {CL_QUEUE_PROPERTIES, bits};
  list.insert(list.end(), rest.begin(), rest.end());
  list.push_back(0);
  return AMALGAM_CL_CREATE(platform, context, clCreateCommandQueueWithProperties, context, device, list.data());
}

}  // namespace

Result<std::unique_ptr<Stream>> create_queue(const PlatformPtr& platform, cl_context context, cl_device_id device,
                                             std::span<const uint64_t> properties) {
  cl_command_queue_properties asked = 0;
  std::vector<cl_queue_properties> rest = take_bits(properties, asked);
  auto queue = make_queue(*platform, context, device, rest, asked | CL_QUEUE_PROFILING_ENABLE);
  if (!queue && (asked & CL_QUEUE_PROFILING_ENABLE) == 0) {
    // A driver that cannot profile still computes; the error is the program's only if its own request fails.
    queue = make_queue(*platform, context, device, rest, asked);
  }
  if (!queue) return fail(std::move(queue.error()));
  return std::make_unique<ClStream>(platform, context, *queue, (asked & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) == 0,
                                    device_has_svm(*platform, device));
}

WaitList ClStream::list_of(Waits waits) {
  WaitList list(waits);
  if (list.has_user()) flush();
  return list;
}

Result<EventPtr> ClStream::made(Result<void> verdict, const cl_event& event) {
  if (!verdict) return fail(std::move(verdict.error()));
  return std::make_shared<ClEvent>(platform_, event, false);
}

Result<EventPtr> ClStream::among_twins(const Twins& twins, Waits waits,
                                       const std::function<Result<void>(const WaitList&, cl_event*)>& enqueue) {
  std::vector<Owned<cl_event>> entered;
  std::vector<cl_event> before;
  for (const TwinPtr& twin : twins) {
    WaitList list = list_of(waits);
    auto copy = twin->enter(*platform_, handle(), list.count(), list.data());
    if (!copy) return fail(std::move(copy.error()));
    entered.emplace_back(*copy);
    before.push_back(*copy);
  }
  cl_event event = nullptr;
  if (auto taken = enqueue(WaitList(waits, before), &event); !taken) return fail(std::move(taken.error()));
  Owned<cl_event> main(event);
  // One after the other, so that the last one's end is the end of all.
  Owned<cl_event> last;
  for (const TwinPtr& twin : twins) {
    const cl_event after = last.get() != nullptr ? last.get() : event;
    auto copy = twin->leave(*platform_, handle(), 1, &after);
    if (!copy) return fail(std::move(copy.error()));
    last = Owned<cl_event>(*copy);
  }
  return std::make_shared<ClEvent>(platform_, std::move(last), std::move(main));
}

Result<EventPtr> ClStream::launch(Kernel& kernel, const LaunchRange& range, Waits waits) {
  static_assert(sizeof(size_t) == sizeof(uint64_t));
  if (range.dimensions < 1 || range.dimensions > 3) {
    return fail(driver_error("clEnqueueNDRangeKernel", CL_INVALID_WORK_DIMENSION));
  }
  auto sizes = [](const std::array<uint64_t, 3>& a) { return reinterpret_cast<const size_t*>(a.data()); };
  const auto& own = static_cast<ClKernel&>(kernel);
  return command(own.twins(), waits, [&](const WaitList& list, cl_event* event) {
    return AMALGAM_CL(*platform_, handle(), clEnqueueNDRangeKernel, handle(), own.handle(), cl_uint{range.dimensions},
                      range.has_offset ? sizes(range.offset) : nullptr, sizes(range.global),
                      range.has_local ? sizes(range.local) : nullptr, list.count(), list.data(), event);
  });
}

Result<EventPtr> ClStream::marker(protocol::MarkerKind kind, Waits waits) {
  WaitList list = list_of(waits);
  cl_event event = nullptr;
  if (kind == protocol::MarkerKind::kBarrier) {
    return made(AMALGAM_CL(*platform_, handle(), clEnqueueBarrierWithWaitList, handle(), list.count(), list.data(), &event),
                event);
  }
  return made(AMALGAM_CL(*platform_, handle(), clEnqueueMarkerWithWaitList, handle(), list.count(), list.data(), &event),
              event);
}

Result<EventPtr> ClStream::migrate(std::span<Region* const> regions, uint64_t flags, Waits waits) {
  std::vector<cl_mem> handles;
  for (Region* region : regions) handles.push_back(handle_of(region));
  WaitList list = list_of(waits);
  cl_event event = nullptr;
  return made(AMALGAM_CL(*platform_, handle(), clEnqueueMigrateMemObjects, handle(), static_cast<cl_uint>(handles.size()),
                         handles.data(), flags, list.count(), list.data(), &event),
              event);
}

void ClStream::flush() { table_of(handle()).clFlush(handle()); }

Result<EventPtr> ClStream::host_work(Waits waits, std::function<void()> work) {
  auto before = marker(protocol::MarkerKind::kMarker, waits);
  if (!before) return before;
  auto user = AMALGAM_CL_CREATE(*platform_, context_, clCreateUserEvent, context_);
  if (!user) return fail(std::move(user.error()));
  auto gate = std::make_shared<ClEvent>(platform_, *user, true);
  Event* const gates[] = {gate.get()};
  auto after = marker(protocol::MarkerKind::kMarker, gates);
  (*before)->on_complete([gate, work = std::move(work)](const Outcome& outcome) {
    if (outcome.status == CL_COMPLETE) work();
    // A refusal can only mean that the event is already set, which is what this wants.
    (void)gate->signal(outcome.status);
  });
  return after;
}

}  // namespace amalgam::south::opencl
