// SPDX-License-Identifier: Apache-2.0
// Creation of buffers and sub-buffers.
//
// A new region is nobody's yet, so the program's content goes straight in: into the region itself where it is shared, else
// into its shadow and from there by one transfer.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "north/opencl/mem.h"
#include "north/opencl/staged.h"
#include "north/opencl/svm.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {
namespace {

constexpr uintptr_t kPage = 4096;
constexpr size_t kHugeFrom = 4 * kMiB;

/// The largest buffer that any device of the context takes, as the program can ask for it.
uint64_t largest_buffer(cl_context context) {
  uint64_t most = 0;
  for (cl_device_id device : context->devices) {
    cl_ulong one = 0;
    if (api::clGetDeviceInfo(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof one, &one, nullptr) == CL_SUCCESS)
      most = std::max<uint64_t>(most, one);
  }
  return most;
}

/// Fewer faults and misses in our mapping of a large region, where the kernel has huge pages for shared memory.
void prefer_huge_pages(std::byte* bytes, size_t size) {
  if (size < kHugeFrom) return;
  uintptr_t begin = (reinterpret_cast<uintptr_t>(bytes) + kPage - 1) & ~(kPage - 1);
  uintptr_t end = (reinterpret_cast<uintptr_t>(bytes) + size) & ~(kPage - 1);
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

cl_int push_content(cl_mem mem, const void* data) {
  if (!mem->shared) return carry_content(mem, *staged_content(mem, data));
  std::memcpy(mem->bytes, data, mem->size);
  return CL_SUCCESS;
}

cl_int create_buffer(cl_mem mem, void* host_ptr) {
  protocol::CreateRegion message;
  message.context = mem->context->id;
  message.flags = mem->flags & (kAccessFlags | CL_MEM_ALLOC_HOST_PTR);
  message.size = mem->size;
  if ((mem->flags & CL_MEM_USE_HOST_PTR) != 0) {
    mem->host_ptr = host_ptr;
    if (auto place = find_svm(mem->context, host_ptr)) {
      if (mem->size > place->room) return CL_INVALID_BUFFER_SIZE;
      mem->svm_backed = true;
      message.over = place->id;
      message.over_offset = place->offset;
    }
  }
  client::Payload payload;
  if (cl_int result = create_on_worker(mem, message, &payload); result != CL_SUCCESS) return result;
  client::Session& session = *mem->context->session;
  auto reply = session.read<protocol::RegionReply>(payload);
  if (!reply || !take_place(mem, *reply, mem->size)) return CL_OUT_OF_RESOURCES;
  if (mem->svm_backed && mem->bytes != host_ptr)
    return to_cl(session.disbelieve("a buffer beside its shared virtual memory").error());
  if (mem->svm_backed) return CL_SUCCESS;
  prefer_huge_pages(mem->bytes, mem->size);
  return host_ptr != nullptr ? push_content(mem, host_ptr) : CL_SUCCESS;
}

/// A part may narrow what its whole allows, and widen nothing.
bool fits_whole(cl_mem_flags part, cl_mem_flags whole) {
  auto forbids = [&](cl_mem_flags has, cl_mem_flags asks) { return (whole & has) != 0 && (part & asks) != 0; };
  return !forbids(CL_MEM_WRITE_ONLY, CL_MEM_READ_WRITE | CL_MEM_READ_ONLY) &&
         !forbids(CL_MEM_READ_ONLY, CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY) &&
         !forbids(CL_MEM_HOST_WRITE_ONLY, CL_MEM_HOST_READ_ONLY) &&
         !forbids(CL_MEM_HOST_READ_ONLY, CL_MEM_HOST_WRITE_ONLY) &&
         !forbids(CL_MEM_HOST_NO_ACCESS, CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY);
}

cl_int check_part(cl_mem whole, cl_mem_flags flags, cl_buffer_create_type how, const void* info) {
  if (!valid(whole, Kind::kMem) || whole->is_image() || whole->parent != nullptr) return CL_INVALID_MEM_OBJECT;
  if ((flags & kHostPointerFlags) != 0 || !fits_whole(flags, whole->flags)) return CL_INVALID_VALUE;
  if (how != CL_BUFFER_CREATE_TYPE_REGION || info == nullptr) return CL_INVALID_VALUE;
  const auto& range = *static_cast<const cl_buffer_region*>(info);
  if (range.size == 0) return CL_INVALID_BUFFER_SIZE;
  if (range.origin > whole->size || range.size > whole->size - range.origin) return CL_INVALID_VALUE;
  for (cl_device_id device : whole->context->devices) {
    uint64_t align = device_number(device, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
    if (align == 0 || range.origin % align == 0) return CL_SUCCESS;
  }
  return CL_MISALIGNED_SUB_BUFFER_OFFSET;
}

}  // namespace

namespace api {

cl_mem clCreateBufferWithProperties(cl_context context, const cl_mem_properties* properties, cl_mem_flags flags, size_t size,
                                    void* host_ptr, cl_int* error) {
  std::vector<cl_mem_properties> list;
  if (!valid(context, Kind::kContext)) return refuse(error, CL_INVALID_CONTEXT);
  if (cl_int bad = take_properties(properties, list); bad != CL_SUCCESS) return refuse(error, bad);
  if (size == 0 || size > largest_buffer(context)) return refuse(error, CL_INVALID_BUFFER_SIZE);
  if (cl_int bad = check_mem_flags(flags); bad != CL_SUCCESS) return refuse(error, bad);
  if (cl_int bad = check_host_ptr(flags, host_ptr); bad != CL_SUCCESS) return refuse(error, bad);
  if (flags == 0) flags = CL_MEM_READ_WRITE;
  cl_mem mem = new_mem(context, CL_MEM_OBJECT_BUFFER, flags, size);
  mem->properties = std::move(list);
  return finish_mem(mem, create_buffer(mem, host_ptr), error);
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void* host_ptr, cl_int* error) {
  return api::clCreateBufferWithProperties(context, nullptr, flags, size, host_ptr, error);
}

cl_mem clCreateSubBuffer(cl_mem whole, cl_mem_flags flags, cl_buffer_create_type how, const void* info, cl_int* error) {
  if (cl_int bad = check_part(whole, flags, how, info); bad != CL_SUCCESS) return refuse(error, bad);
  const auto& range = *static_cast<const cl_buffer_region*>(info);
  cl_mem mem = new_mem(whole->context, CL_MEM_OBJECT_BUFFER, inherited_flags(flags, whole->flags), range.size);
  mem->parent = retained(whole);
  mem->offset = range.origin;
  mem->bytes = whole->bytes + range.origin;
  mem->shared = whole->shared;
  mem->svm_backed = whole->svm_backed;
  if (whole->host_ptr != nullptr) mem->host_ptr = static_cast<std::byte*>(whole->host_ptr) + range.origin;
  protocol::CreateSubRegion message;
  message.parent = whole->id;
  message.flags = flags & ~kHostAccessFlags;
  message.offset = range.origin;
  message.size = range.size;
  return finish_mem(mem, create_on_worker(mem, message, nullptr), error);
}

}  // namespace api
}  // namespace amalgam::opencl
