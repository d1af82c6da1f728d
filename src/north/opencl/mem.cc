// SPDX-License-Identifier: Apache-2.0
// Lifetime and queries of every memory object.
#include "north/opencl/mem.h"

#include <bit>

#include "north/opencl/kernel_arg.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {

cl_int check_mem_flags(cl_mem_flags flags) {
  if ((flags & ~(kAccessFlags | kHostPointerFlags | kHostAccessFlags)) != 0) return CL_INVALID_VALUE;
  if (std::popcount(flags & kAccessFlags) > 1 || std::popcount(flags & kHostAccessFlags) > 1) return CL_INVALID_VALUE;
  if ((flags & CL_MEM_USE_HOST_PTR) != 0 && (flags & (CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)) != 0)
    return CL_INVALID_VALUE;
  return CL_SUCCESS;
}

cl_int check_host_ptr(cl_mem_flags flags, const void* host_ptr) {
  bool needs = (flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR)) != 0;
  return needs == (host_ptr != nullptr) ? CL_SUCCESS : CL_INVALID_HOST_PTR;
}

cl_int take_properties(const cl_mem_properties* given, std::vector<cl_mem_properties>& out) {
  if (given == nullptr) return CL_SUCCESS;
  if (given[0] != 0) return CL_INVALID_PROPERTY;
  out.assign(1, 0);
  return CL_SUCCESS;
}

cl_mem_flags inherited_flags(cl_mem_flags part, cl_mem_flags whole) {
  if ((part & kAccessFlags) == 0) part |= whole & kAccessFlags;
  if ((part & kHostAccessFlags) == 0) part |= whole & kHostAccessFlags;
  return part | (whole & kHostPointerFlags);
}

cl_mem new_mem(cl_context context, cl_mem_object_type type, cl_mem_flags flags, size_t size) {
  auto* mem = new _cl_mem;
  mem->context = retained(context);
  mem->type = type;
  mem->flags = flags;
  mem->size = size;
  return mem;
}

bool take_place(cl_mem mem, const protocol::RegionReply& reply, size_t least) {
  auto place = mem->context->session->place(reply, least, mem->svm_backed);
  if (!place) return false;
  mem->bytes = *place;
  mem->shared = reply.residency == static_cast<uint8_t>(model::Residency::kShared);
  return true;
}

cl_mem finish_mem(cl_mem mem, cl_int result, cl_int* error) {
  report(error, result);
  if (result == CL_SUCCESS) {
    note_handle(mem);
    return mem;
  }
  destroy(mem);
  return nullptr;
}

namespace {

thread_local MemEnd* t_end = nullptr;

}  // namespace

MemEnd* MemEnd::here() { return t_end; }

MemEnd::MemEnd() : outer_(std::exchange(t_end, this)) {}

MemEnd::~MemEnd() {
  t_end = outer_;
  for (auto& [session, job] : jobs_) {
    if (session->dead() || session->under_way() == 0)
      job();
    else
      session->after(std::move(job));
  }
}

void destroy(cl_mem mem) {
  forget_handle(mem);
  mem->kind = Kind::kDead;
  cl_context context = mem->context;
  client::Session& session = *context->session;
  release_id(session, mem->id);
  cl_mem parent = mem->parent;
  std::vector<std::function<void()>> callbacks = std::move(mem->destructors);
  delete mem;
  if (parent != nullptr) drop(parent);
  if (callbacks.empty()) return drop(context);
  auto job = [context, callbacks = std::move(callbacks)] {
    for (auto it = callbacks.rbegin(); it != callbacks.rend(); ++it) (*it)();
    drop(context);
  };
  if (MemEnd* end = MemEnd::here())
    end->add(session, std::move(job));
  else
    session.after(std::move(job));
}

namespace {

cl_uint map_count(cl_mem mem) {
  std::lock_guard lock(mem->mutex);
  cl_uint sum = 0;
  for (const _cl_mem::Mapping& mapping : mem->mappings) sum += mapping.count;
  return sum;
}

}  // namespace

namespace api {

cl_int clRetainMemObject(cl_mem mem) {
  if (!valid(mem, Kind::kMem)) return CL_INVALID_MEM_OBJECT;
  retained(mem);
  return CL_SUCCESS;
}

cl_int clReleaseMemObject(cl_mem mem) {
  if (!valid(mem, Kind::kMem)) return CL_INVALID_MEM_OBJECT;
  MemEnd end;
  drop(mem);
  return CL_SUCCESS;
}

cl_int clGetMemObjectInfo(cl_mem mem, cl_mem_info param, size_t room, void* out, size_t* size_ret) {
  if (!valid(mem, Kind::kMem)) return CL_INVALID_MEM_OBJECT;
  switch (param) {
    case CL_MEM_TYPE: return answer(mem->type, room, out, size_ret);
    case CL_MEM_FLAGS: return answer(mem->flags, room, out, size_ret);
    case CL_MEM_SIZE: return answer(mem->size, room, out, size_ret);
    case CL_MEM_HOST_PTR: return answer(mem->host_ptr, room, out, size_ret);
    case CL_MEM_MAP_COUNT: return answer(map_count(mem), room, out, size_ret);
    case CL_MEM_REFERENCE_COUNT: return answer(mem->references.load(), room, out, size_ret);
    case CL_MEM_CONTEXT: return answer(mem->context, room, out, size_ret);
    case CL_MEM_ASSOCIATED_MEMOBJECT: return answer(mem->parent, room, out, size_ret);
    case CL_MEM_OFFSET: return answer(mem->offset, room, out, size_ret);
    case CL_MEM_USES_SVM_POINTER: return answer<cl_bool>(mem->svm_backed ? CL_TRUE : CL_FALSE, room, out, size_ret);
    case CL_MEM_PROPERTIES:
      return answer(mem->properties.data(), mem->properties.size() * sizeof(cl_mem_properties), room, out, size_ret);
    default: return CL_INVALID_VALUE;
  }
}

cl_int clSetMemObjectDestructorCallback(cl_mem mem, void(CL_CALLBACK* notify)(cl_mem, void*), void* user_data) {
  if (!valid(mem, Kind::kMem)) return CL_INVALID_MEM_OBJECT;
  if (notify == nullptr) return CL_INVALID_VALUE;
  std::lock_guard lock(mem->mutex);
  mem->destructors.push_back([mem, notify, user_data] { notify(mem, user_data); });
  return CL_SUCCESS;
}

cl_mem clCreatePipe(cl_context context, cl_mem_flags, cl_uint, cl_uint, const cl_pipe_properties*, cl_int* error) {
  // No device claims pipes (CL_DEVICE_PIPE_SUPPORT).
  return refuse(error, valid(context, Kind::kContext) ? CL_INVALID_OPERATION : CL_INVALID_CONTEXT);
}

cl_int clGetPipeInfo(cl_mem, cl_pipe_info, size_t, void*, size_t*) { return CL_INVALID_MEM_OBJECT; }

}  // namespace api
}  // namespace amalgam::opencl
