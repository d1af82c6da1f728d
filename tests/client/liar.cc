// SPDX-License-Identifier: Apache-2.0
#include "tests/client/liar.h"

#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "tests/client/liar_opening.h"
#include "tests/client/liar_worker.h"

namespace amalgam::liar {
namespace {

template <typename T>
void put(model::Device& device, uint32_t key, const T& value) {
  std::vector<uint8_t> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  device.properties.push_back({model::Interface::kOpenCl, key, std::move(bytes)});
}

void put_text(model::Device& device, uint32_t key, std::string_view text) {
  std::vector<uint8_t> bytes(text.begin(), text.end());
  bytes.push_back(0);
  device.properties.push_back({model::Interface::kOpenCl, key, std::move(bytes)});
}

protocol::DeviceEntry true_device(bool shared) {
  protocol::DeviceEntry entry;
  model::Device& device = entry.device;
  device.id = shared ? "liar:0" : "liar:1";
  device.backend = "liar";
  device.library = device.id;
  device.residency = shared ? model::Residency::kShared : model::Residency::kStaged;
  device.svm_on_heap = shared;
  put<cl_device_type>(device, CL_DEVICE_TYPE, CL_DEVICE_TYPE_GPU);
  put<cl_uint>(device, CL_DEVICE_MAX_COMPUTE_UNITS, 8);
  put<cl_uint>(device, CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS, 3);
  const size_t items[3] = {256, 256, 256};
  put(device, CL_DEVICE_MAX_WORK_ITEM_SIZES, items);
  put<size_t>(device, CL_DEVICE_MAX_WORK_GROUP_SIZE, 256);
  put<cl_ulong>(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, 4 * kMiB);
  put<cl_ulong>(device, CL_DEVICE_GLOBAL_MEM_SIZE, 16 * kMiB);
  put<cl_ulong>(device, CL_DEVICE_LOCAL_MEM_SIZE, 32768);
  put<cl_uint>(device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, 1024);
  put<cl_bool>(device, CL_DEVICE_IMAGE_SUPPORT, CL_TRUE);
  put<cl_device_exec_capabilities>(device, CL_DEVICE_EXECUTION_CAPABILITIES, CL_EXEC_KERNEL | CL_EXEC_NATIVE_KERNEL);
  put<cl_device_svm_capabilities>(device, CL_DEVICE_SVM_CAPABILITIES, shared ? CL_DEVICE_SVM_COARSE_GRAIN_BUFFER : 0);
  put<cl_uint>(device, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, 8);
  put_text(device, CL_DEVICE_NAME, "a device");
  put_text(device, CL_DEVICE_VERSION, "OpenCL 2.0 liar");
  put_text(device, CL_DEVICE_PROFILE, "FULL_PROFILE");
  put_text(device, CL_DEVICE_EXTENSIONS, "cl_khr_fp64 cl_khr_fp16");
  put_text(device, CL_DEVICE_IL_VERSION, "");
  put(device, CL_DEVICE_EXTENSIONS_WITH_VERSION, cl_name_version{CL_MAKE_VERSION(1, 0, 0), "cl_khr_fp64"});
  put(device, CL_DEVICE_OPENCL_C_FEATURES, cl_name_version{CL_MAKE_VERSION(1, 0, 0), "__opencl_c_fp64"});
  return entry;
}

}  // namespace

std::vector<protocol::DeviceEntry> true_devices() { return {true_device(true), true_device(false)}; }

void garble(Choices& choices, std::vector<std::byte>& bytes, uint64_t heap_bytes) {
  if (bytes.empty()) return bytes.resize(choices.below(64), std::byte{1});
  uint64_t value = choices.edge(heap_bytes);
  switch (choices.below(6)) {
    case 0:
    case 1: {  // a word
      size_t at = choices.below(bytes.size()) / 8 * 8;
      std::memcpy(bytes.data() + at, &value, std::min<size_t>(sizeof value, bytes.size() - at));
      return;
    }
    case 2: {  // a number wherever it lies
      size_t at = choices.below(bytes.size());
      std::memcpy(bytes.data() + at, &value, std::min<size_t>(sizeof(uint32_t), bytes.size() - at));
      return;
    }
    case 3:
      for (uint64_t i = 0; i <= choices.below(4); ++i) bytes[choices.below(bytes.size())] ^= std::byte{choices.byte()};
      return;
    case 4: return bytes.resize(choices.below(bytes.size()));
    case 5: return bytes.resize(bytes.size() + choices.below(200), std::byte{choices.byte()});
  }
}

Liar::Liar() : devices(true_devices()) {
  char name[] = "/tmp/amalgam-liar-XXXXXX";
  if (::mkdtemp(name) == nullptr) __builtin_trap();
  folder_ = name;
  path_ = folder_ + "/pool.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof address.sun_path - 1);
  listener_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) __builtin_trap();
  if (::listen(listener_.get(), 8) != 0) __builtin_trap();
  ::setenv("AMALGAM_SOCKET", path_.c_str(), 1);
  thread_ = std::thread([this] { serve(); });
}

Liar::~Liar() {
  finish();
  ::shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
  std::filesystem::remove_all(folder_);
}

void Liar::play(About about, Choices* choices) {
  std::lock_guard lock(mutex_);
  about_ = about;
  choices_ = choices;
}

void Liar::kill_workers() {
  std::lock_guard lock(mutex_);
  for (auto& session : sessions_) session->stop = true;
}

void Liar::finish() {
  std::vector<std::unique_ptr<Session>> ended;
  {
    std::lock_guard lock(mutex_);
    ended.swap(sessions_);
  }
  for (auto& session : ended) {
    session->stop = true;
    session->thread.join();
  }
}

Liar::Turn Liar::turn(About about) {
  std::unique_lock lock(mutex_);
  Choices* choices = about_ == about && choices_ != nullptr && !choices_->used_up() ? choices_ : nullptr;
  return {std::move(lock), choices};
}

void Liar::serve() {
  for (;;) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) return;
    protocol::Channel guest(std::move(socket));
    while (answer(guest)) {
    }
  }
}

bool Liar::answer(const protocol::Channel& guest) {
  auto packet = guest.receive(-1);
  if (!packet) return false;
  if (auto request = packet->as<protocol::ListDevices>()) return list(guest, *request);
  return packet->type() == protocol::ControlType::kOpenSession && open(guest);
}

bool Liar::list(const protocol::Channel& guest, const protocol::ListDevices& request) {
  protocol::DeviceList page;
  page.total = static_cast<uint32_t>(devices.size());
  if (request.first < devices.size()) page.entries.push_back(devices[request.first]);
  Turn turn = this->turn(About::kDevices);
  if (turn.choices == nullptr) return guest.send(page).has_value();
  Choices& lies = *turn.choices;
  count();
  if (lies.below(4) == 0) page.total = static_cast<uint32_t>(lies.edge(0));
  for (uint64_t i = lies.below(8) == 0 ? lies.below(20) : 0; i > 0 && !page.entries.empty(); --i)
    page.entries.push_back(page.entries[0]);
  for (auto& entry : page.entries)
    for (auto& property : entry.device.properties)
      if (lies.below(8) == 0) property.value.resize(lies.below(100), lies.byte());
  return send_packet(guest.fd(), page, {}, lies.below(2) == 0 ? &lies : nullptr);
}

bool Liar::open(const protocol::Channel& guest) {
  std::vector<std::string> names;
  for (const protocol::DeviceEntry& entry : devices) names.push_back(entry.device.id);
  Opening opening(std::move(names));
  if (hire) {
    hire(opening);
    return opening.send(guest.fd(), nullptr);
  }
  auto session = std::make_unique<Session>();
  LyingWorker* worker = nullptr;
  bool sent = false;
  {
    Turn turn = this->turn(About::kOpening);
    const uint64_t before = told();
    if (turn.choices != nullptr) count();
    worker = new LyingWorker(*this, before, opening.ring(), opening.heap(), opening.take_socket());
    sent = opening.send(guest.fd(), turn.choices);
  }
  session->thread = std::thread([worker, raw = session.get()] {
    worker->serve(raw->stop);
    delete worker;
  });
  std::lock_guard lock(mutex_);
  sessions_.push_back(std::move(session));
  return sent;
}

}  // namespace amalgam::liar
