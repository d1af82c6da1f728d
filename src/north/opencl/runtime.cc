// SPDX-License-Identifier: Apache-2.0
// The one object of a process: its platform, its devices, its session.
//
// Leaked on purpose: programs call OpenCL from destructors that run after ours would have, and service threads may still
// run.
#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "north/opencl/kernel_arg.h"
#include "north/opencl/overlay.h"
#include "north/opencl/util.h"
#include "protocol/control/channel.h"

namespace amalgam::opencl {
namespace {

constexpr int kListTimeoutMs = 60'000;  // a daemon that has just started may still be probing its drivers
constexpr int kConnectTries = 50;
constexpr useconds_t kConnectStepUs = 100'000;

/// $AMALGAM_SLICE: 32 hexadecimal digits, first word first. False if it is there and malformed.
bool slice_token(protocol::Token& token) {
  token = {};
  const char* text = ::getenv("AMALGAM_SLICE");
  if (text == nullptr || *text == 0) return true;
  if (std::strlen(text) != 32) return false;
  for (int i = 0; i < 32; ++i) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return false;
    token[i / 16] = token[i / 16] << 4 | static_cast<uint64_t>(digit);
  }
  return true;
}

/// The daemon, waited for only if this program was started inside a slice: then there is one, at most it is being restarted.
Result<protocol::Channel> find_daemon(bool in_slice) {
  const std::string path = protocol::default_socket_path();
  for (int i = 0;; ++i) {
    auto channel = protocol::Channel::connect(path);
    if (channel || !in_slice || i == kConnectTries || channel.error().code != Code::kUnavailable) return channel;
    ::usleep(kConnectStepUs);
  }
}

std::vector<protocol::DeviceEntry> list_devices() {
  std::vector<protocol::DeviceEntry> entries;
  // Inside a worker the loader finds us too, and we must not find ourselves.
  if (::getenv("AMALGAM_INSIDE") != nullptr) return entries;
  protocol::ListDevices request;
  request.with_properties = true;
  request.only_usable = true;
  if (!slice_token(request.slice)) return entries;
  auto daemon = find_daemon(request.slice != protocol::Token{});
  if (!daemon) return entries;
  for (;;) {
    request.first = static_cast<uint32_t>(entries.size());
    auto page = daemon->call<protocol::DeviceList>(request, kListTimeoutMs);
    if (!page || page->entries.empty()) return entries;
    for (protocol::DeviceEntry& entry : page->entries) entries.push_back(std::move(entry));
    if (entries.size() >= page->total || entries.size() >= kMaxDevices) return entries;
  }
}

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

}  // namespace

Runtime::Runtime() {
  ::pthread_atfork(nullptr, nullptr, [] { get().after_fork(); });
}

Runtime& Runtime::get() {
  static Runtime* const runtime = new Runtime;
  return *runtime;
}

const std::vector<cl_device_id>& Runtime::devices() {
  std::lock_guard lock(mutex_);
  if (asked_) return devices_;
  asked_ = true;
  for (protocol::DeviceEntry& entry : list_devices()) {
    auto* device = new _cl_device_id;
    overlay(entry);
    device->entry = std::move(entry);
    devices_.push_back(device);
  }
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
