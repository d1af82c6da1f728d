// SPDX-License-Identifier: Apache-2.0
// Small tools of the entry points that create objects and answer queries (objects.h declares the ones that all share).
//
// Threads: as every entry point. Blocking: ask(), ask_large(), answer_large(), stage() and create() wait for the worker.
#pragma once

#include <span>

#include "north/opencl/objects.h"

namespace amalgam::opencl {

/// Stores a creation's code where the program wants it.
inline void report(cl_int* errcode_ret, cl_int code) {
  if (errcode_ret != nullptr) *errcode_ret = code;
}
/// The failing end of a creation: `return refuse(errcode_ret, CL_INVALID_VALUE)`.
inline std::nullptr_t refuse(cl_int* errcode_ret, cl_int code) {
  report(errcode_ret, code);
  return nullptr;
}

/// A new object id that is given back unless the creation succeeds.
class NewId {
 public:
  explicit NewId(client::Session& session) : session_(session), id_(session.dead() ? 0 : session.ids().make(nullptr)) {}
  NewId(const NewId&) = delete;
  NewId& operator=(const NewId&) = delete;
  ~NewId() {
    if (id_ != 0) session_.ids().free(id_);
  }
  protocol::ObjectId get() const { return id_; }
  protocol::ObjectId keep() { return std::exchange(id_, 0); }

 private:
  client::Session& session_;
  protocol::ObjectId id_;
};

/// Sends a creation that names `id` and waits for the driver's verdict: the code that the program's call returns.
template <typename M>
cl_int create(client::Session& session, const NewId& id, const M& message) {
  if (session.dead()) return session.death_status(CL_DEVICE_NOT_AVAILABLE);
  if (id.get() == 0) return CL_OUT_OF_RESOURCES;
  auto made = session.call(message);
  return made ? CL_SUCCESS : to_cl(made.error(), CL_DEVICE_NOT_AVAILABLE);
}

/// The worker will not hear of this object again. Succeeds on dead sessions: there is nothing left to release.
inline void release_id(client::Session& session, protocol::ObjectId id) {
  if (id != 0) session.release(id, client::Session::Release::kSoon);
}

/// Asks the driver; for answers that surely fit a frame. What comes is of the query's shape (shapes.h).
Result<client::Payload> ask(client::Session& session, const protocol::Query& query);
/// Asks the driver; the answer travels through staging and may be of any size up to module-bytes. `guess` is the first room
/// to offer. `use` sees it there, whole and of the query's shape in its size; the worker can still change it, so it must be
/// copied out once and not be looked at.
Result<void> ask_large(client::Session& session, protocol::Query query, size_t guess,
                       const std::function<void(std::span<const std::byte>)>& use);
/// Asks the driver for something large that the program wants to know: an answer of a clGet*Info.
cl_int answer_large(client::Session& session, const protocol::Query& query, size_t room, void* out, size_t* size_ret);

/// Staging room that waits for other transfers to end; not ok() if the session is dead or the size is beyond all bounds.
client::StagedBlock stage(client::Session& session, size_t size);

std::vector<protocol::ObjectId> ids_of(std::span<const cl_device_id> devices);

/// The driver's own answer to a CL_PLATFORM_* parameter, or null.
const std::vector<uint8_t>* platform_property(cl_device_id device, cl_uint key);

/// A cl_name_version list.
std::vector<cl_name_version> name_versions(const std::vector<uint8_t>* value);

/// True if the device's overlaid CL_DEVICE_EXTENSIONS name it.
bool has_extension(cl_device_id device, std::string_view name);

}  // namespace amalgam::opencl
