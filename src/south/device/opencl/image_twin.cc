// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/image_twin.h"

namespace amalgam::south::opencl {
namespace {

constexpr cl_mem_flags kHostPointerFlags = CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR;

template <typename T>
Result<T> mem_info(const Platform& platform, cl_mem memory, cl_mem_info param) {
  T value{};
  if (auto got = AMALGAM_CL(platform, memory, clGetMemObjectInfo, memory, param, sizeof value, &value, nullptr); !got)
    return fail(std::move(got.error()));
  return value;
}

Result<cl_event> copy(const Platform& platform, cl_command_queue queue, cl_mem from, cl_mem to, uint64_t bytes,
                      cl_uint count, const cl_event* waits) {
  cl_event event = nullptr;
  if (auto taken = AMALGAM_CL(platform, queue, clEnqueueCopyBuffer, queue, from, to, size_t{0}, size_t{0}, bytes, count,
                              waits, &event);
      !taken)
    return fail(std::move(taken.error()));
  return event;
}

}  // namespace

Result<std::shared_ptr<ImageTwin>> ImageTwin::make(const Platform& platform, cl_context context, cl_mem original) {
  auto bytes = mem_info<size_t>(platform, original, CL_MEM_SIZE);
  if (!bytes) return fail(std::move(bytes.error()));
  auto flags = mem_info<cl_mem_flags>(platform, original, CL_MEM_FLAGS);
  if (!flags) return fail(std::move(flags.error()));
  auto twin = AMALGAM_CL_CREATE(platform, context, clCreateBuffer, context, *flags & ~kHostPointerFlags, *bytes,
                                static_cast<void*>(nullptr));
  if (!twin) return fail(std::move(twin.error()));
  Owned<cl_mem> own(*twin);
  if (auto kept = AMALGAM_CL(platform, original, clRetainMemObject, original); !kept) return fail(std::move(kept.error()));
  return std::make_shared<ImageTwin>(Owned<cl_mem>(original), std::move(own), *bytes);
}

Result<cl_event> ImageTwin::enter(const Platform& platform, cl_command_queue queue, cl_uint count,
                                  const cl_event* waits) const {
  return copy(platform, queue, original_.get(), twin_.get(), bytes_, count, waits);
}

Result<cl_event> ImageTwin::leave(const Platform& platform, cl_command_queue queue, cl_uint count,
                                  const cl_event* waits) const {
  return copy(platform, queue, twin_.get(), original_.get(), bytes_, count, waits);
}

}  // namespace amalgam::south::opencl
