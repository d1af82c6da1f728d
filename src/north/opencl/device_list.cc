// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/device_list.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/limits.h"
#include "north/opencl/api.h"
#include "north/opencl/complain.h"
#include "north/opencl/shapes.h"
#include "protocol/control/channel.h"
#include "protocol/control/slice_file.h"
#include "protocol/link/ring.h"

namespace amalgam::opencl {
namespace {

constexpr uint64_t kListTimeoutMs = 60'000;  // a daemon that has just started may still be probing its drivers
constexpr int kConnectTries = 50;
constexpr useconds_t kConnectStepUs = 100'000;

/// The daemon, waited for only if this program was started inside a slice: then there is one, at most it is being restarted.
Result<protocol::Channel> find_daemon(bool in_slice) {
  const std::string path = protocol::default_socket_path();
  for (int i = 0;; ++i) {
    auto channel = protocol::Channel::connect(path);
    if (channel || !in_slice || i == kConnectTries || channel.error().code != Code::kUnavailable) return channel;
    ::usleep(kConnectStepUs);
  }
}

std::string told_identity() {
  const char* named = ::getenv("AMALGAM_IDENTITY");
  return named != nullptr && *named != 0 ? named : protocol::read_slice_file().identity;
}

const std::vector<uint8_t>* find(const model::Device& device, uint32_t key) {
  for (const model::Property& property : device.properties)
    if (property.interface == model::Interface::kOpenCl && property.key == key) return &property.value;
  return nullptr;
}

/// The one list whose length another value tells.
bool has_item_sizes(const model::Device& device, size_t bytes) {
  const std::vector<uint8_t>* value = find(device, CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS);
  cl_uint dimensions = 0;
  if (value != nullptr && value->size() == sizeof dimensions) std::memcpy(&dimensions, value->data(), sizeof dimensions);
  return bytes == dimensions * sizeof(size_t);
}

bool is_well_formed(const model::Device& device, const model::Property& property) {
  if (property.interface != model::Interface::kOpenCl) return true;
  if (property.key == CL_DEVICE_MAX_WORK_ITEM_SIZES && !has_item_sizes(device, property.value.size())) return false;
  return fits(device_shape(property.key), property.value.size());
}

}  // namespace

bool slice_token(protocol::Token& token) {
  token = {};
  const char* named = ::getenv("AMALGAM_SLICE");
  const std::string text = named != nullptr && *named != 0 ? named : protocol::read_slice_file().token;
  if (text.empty()) return true;
  if (text.size() != 32) return false;
  for (size_t i = 0; i < 32; ++i) {
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

DeviceListing list_devices() {
  DeviceListing listing;
  // Inside a worker the loader finds us too, and we must not find ourselves.
  if (::getenv("AMALGAM_INSIDE") != nullptr) return listing;
  protocol::ListDevices request;
  request.with_properties = true;
  request.only_usable = true;
  if (!slice_token(request.slice)) {
    complain("AMALGAM_SLICE is malformed");
    return listing;
  }
  const bool own_slice = request.slice != protocol::Token{};
  auto daemon = find_daemon(own_slice);
  if (!daemon) {
    complain(daemon.error().text());
    return listing;
  }
  const uint64_t end = protocol::monotonic_ns() + kListTimeoutMs * 1'000'000;
  for (uint64_t now = protocol::monotonic_ns(); now < end; now = protocol::monotonic_ns()) {
    request.first = static_cast<uint32_t>(listing.entries.size());
    auto page = daemon->call<protocol::DeviceList>(request, static_cast<int>((end - now) / 1'000'000));
    if (!page) complain(page.error().text());
    if (!page || page->entries.empty()) return listing;
    listing.identity = model::choose_identity(told_identity(), page->identity, own_slice);
    for (protocol::DeviceEntry& entry : page->entries) {
      if (listing.entries.size() == kMaxDevices) return listing;
      listing.entries.push_back(std::move(entry));
    }
    if (listing.entries.size() >= page->total) return listing;
  }
  return listing;
}

void keep_well_formed(protocol::DeviceEntry& entry) {
  model::Device& device = entry.device;
  std::erase_if(device.properties, [&](const model::Property& property) { return !is_well_formed(device, property); });
  for (model::Property& property : device.properties)
    if (property.interface == model::Interface::kOpenCl)
      end_texts(device_shape(property.key), std::as_writable_bytes(std::span(property.value)));
}

}  // namespace amalgam::opencl
