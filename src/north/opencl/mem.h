// SPDX-License-Identifier: Apache-2.0
// Memory objects: what buffers, sub-buffers and images have in common at their creation and at their end.
//
// The worker learns the access flags alone. Host-pointer flags are this side's affair (the region's bytes are in the heap,
// where the program's content is copied to), and so are host-access flags: the entry points check them, and staging must be
// able to reach what the program may not.
//
// Threads: a handle is built by one thread, and constant once it is returned, but for what its mutex guards.
#pragma once

#include "north/opencl/enqueue.h"

namespace amalgam::opencl {

inline constexpr cl_mem_flags kAccessFlags = CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY;
inline constexpr cl_mem_flags kHostPointerFlags = CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR;
inline constexpr cl_mem_flags kHostAccessFlags = CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS;
inline constexpr cl_mem_flags kNoHostRead = CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS;
inline constexpr cl_mem_flags kNoHostWrite = CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS;

/// CL_INVALID_VALUE for unknown flags and for those that exclude each other.
cl_int check_mem_flags(cl_mem_flags flags);
/// CL_INVALID_HOST_PTR unless there is a host pointer exactly if the flags need one.
cl_int check_host_ptr(cl_mem_flags flags, const void* host_ptr);
/// Keeps a property list, which may be empty but may hold none of ours: CL_INVALID_PROPERTY.
cl_int take_properties(const cl_mem_properties* given, std::vector<cl_mem_properties>& out);
/// What a part (sub-buffer, image of a buffer) has for flags: its own where it gave some, else the whole's.
cl_mem_flags inherited_flags(cl_mem_flags part, cl_mem_flags whole);

/// A handle with its context retained, known to nobody yet; destroy() takes it back at any point.
cl_mem new_mem(cl_context context, cl_mem_object_type type, cl_mem_flags flags, size_t size);

/// Sends a creation, which gets a new id, and notes the id on success. The reply's payload goes to `payload` if not null.
template <typename M>
cl_int create_on_worker(cl_mem mem, M& message, client::Payload* payload) {
  client::Session& session = *mem->context->session;
  if (session.dead()) return session.death_status(CL_DEVICE_NOT_AVAILABLE);
  message.id = session.ids().make(nullptr);
  if (message.id == 0) return CL_OUT_OF_RESOURCES;
  auto reply = session.call(message);
  if (!reply) {
    session.ids().free(message.id);
    return to_cl(reply.error(), CL_DEVICE_NOT_AVAILABLE);
  }
  mem->id = message.id;
  if (payload != nullptr) *payload = std::move(*reply);
  return CL_SUCCESS;
}
/// Where the region lies; false, and the session ended, if it cannot lie there, or is smaller than `least` bytes.
bool take_place(cl_mem mem, const protocol::RegionReply& reply, size_t least);

/// The end of every creation: the handle, or its destruction and the error.
cl_mem finish_mem(cl_mem mem, cl_int result, cl_int* error);

/// While it lives, memory objects whose last hold this thread drops leave their destructor callbacks here; its end runs
/// them, as drivers do, on this very thread, but for those that commands under way must come before. Where there is none the
/// service thread runs them: the last hold may go while a completion is taken.
class MemEnd {
 public:
  MemEnd();
  ~MemEnd();
  MemEnd(const MemEnd&) = delete;
  MemEnd& operator=(const MemEnd&) = delete;
  static MemEnd* here();
  void add(client::Session& session, client::Afterwards::Job job) { jobs_.emplace_back(&session, std::move(job)); }

 private:
  MemEnd* outer_;
  std::vector<std::pair<client::Session*, client::Afterwards::Job>> jobs_;
};

}  // namespace amalgam::opencl
