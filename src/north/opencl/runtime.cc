// SPDX-License-Identifier: Apache-2.0
// The one object of a process: its platforms, their devices, its session.
//
// Leaked on purpose: programs call OpenCL from destructors that run after ours would have, and service threads may still
// run.
#include <pthread.h>

#include <algorithm>
#include <new>

#include "north/opencl/device_list.h"
#include "north/opencl/kernel_arg.h"
#include "north/opencl/overlay.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {
namespace {

/// Tells the worker which of the session's devices this one is. The device keeps no id if the session lacks it.
void open_device(client::Session& session, cl_device_id device) {
  device->session = &session;
  device->id = 0;
  for (uint32_t i = 0; i < session.devices().size(); ++i) {
    if (session.devices()[i] != device->entry.device.id) continue;
    NewId id(session);
    protocol::OpenDevice message;
    message.id = id.get();
    message.index = i;
    if (create(session, id, message) != CL_SUCCESS) return;
    device->index = i;
    device->id = id.keep();
    return;
  }
}

bool same_driver(const model::Device& one, const model::Device& other) {
  return one.backend == other.backend && one.library == other.library && one.driver_index == other.driver_index;
}

}  // namespace

Runtime::Runtime() {
  ::pthread_atfork(nullptr, nullptr, [] { get().after_fork(); });
}

Runtime& Runtime::get() {
  static Runtime* const runtime = new Runtime;
  return *runtime;
}

void Runtime::add_device(protocol::DeviceEntry entry, bool native) {
  overlay(entry);
  keep_well_formed(entry);
  auto platform = std::find_if(platforms_.begin(), platforms_.end(), [&](cl_platform_id known) {
    return same_driver(known->devices[0]->entry.device, entry.device);
  });
  if (platform == platforms_.end()) {
    platform = platforms_.insert(platform, new _cl_platform_id);
    (*platform)->native = native;
  }
  auto* device = new _cl_device_id;
  device->entry = std::move(entry);
  device->platform = *platform;
  (*platform)->devices.push_back(device);
  devices_.push_back(device);
}

void Runtime::ask() {
  std::lock_guard lock(mutex_);
  if (asked_) return;
  asked_ = true;
  DeviceListing listing = list_devices();
  for (protocol::DeviceEntry& entry : listing.entries)
    add_device(std::move(entry), listing.identity == model::Identity::kNative);
}

const std::vector<cl_platform_id>& Runtime::platforms() {
  ask();
  return platforms_;
}

const std::vector<cl_device_id>& Runtime::devices() {
  ask();
  return devices_;
}

Result<client::Session*> Runtime::session() {
  const std::vector<cl_device_id>& all = devices();
  std::lock_guard lock(mutex_);
  if (session_ && !session_->dead()) return session_.get();
  protocol::Token slice;
  if (!slice_token(slice)) return fail(Code::kInvalidArgument, "AMALGAM_SLICE is malformed", CL_DEVICE_NOT_AVAILABLE);
  auto opened = client::Session::open(slice);
  if (!opened) return std::unexpected(std::move(opened.error()));
  // Contexts of a session that died still point at it.
  (void)session_.release();
  session_ = std::move(*opened);
  for (cl_device_id device : all) open_device(*session_, device);
  return session_.get();
}

void Runtime::after_fork() {
  // Whoever held a lock is not in this process.
  new (&mutex_) std::mutex;
  handles_after_fork();
  if (!session_) return;
  session_->abandon();
  (void)session_.release();
  for (cl_device_id device : devices_) {
    device->session = nullptr;
    device->id = 0;
  }
}

}  // namespace amalgam::opencl
