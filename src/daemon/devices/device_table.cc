// SPDX-License-Identifier: Apache-2.0
#include "daemon/devices/device_table.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

using model::Device;
using model::DeviceKind;
using model::Health;

auto order_of(const Device& device) {
  bool common = device.kind == DeviceKind::kCpu || device.kind == DeviceKind::kGpu;
  return std::tuple(device.health != Health::kHealthy, !common, device.backend, device.library, device.driver_index,
                    device.device_index);
}

bool same_device(const Device& a, const Device& b) { return DeviceTable::location_of(a) == DeviceTable::location_of(b); }

uint32_t ordinal_of(const Device& device) {
  size_t colon = device.id.rfind(':');
  return colon == std::string::npos ? 0 : static_cast<uint32_t>(std::strtoul(device.id.c_str() + colon + 1, nullptr, 10));
}

}  // namespace

void DeviceTable::update(std::vector<Device> found) {
  std::ranges::stable_sort(found, [](const Device& a, const Device& b) { return order_of(a) < order_of(b); });
  std::map<std::string, uint32_t> next;
  for (Device& old : devices_) {
    next[old.backend] = std::max(next[old.backend], ordinal_of(old) + 1);
    auto again = std::ranges::find_if(found, [&](const Device& device) { return same_device(device, old); });
    if (again == found.end()) {
      old.health = Health::kLost;
      old.health_text = "its driver no longer shows it";
      continue;
    }
    std::string id = std::move(old.id);
    old = std::move(*again);
    old.id = std::move(id);
    found.erase(again);
  }
  for (Device& device : found) {
    if (devices_.size() >= kMaxDevices) break;
    device.id = device.backend + ":" + std::to_string(next[device.backend]++);
    if (device.memory_pool.empty()) device.memory_pool = device.id;
    devices_.push_back(std::move(device));
  }
  for (Device& device : devices_) show(device);
}

DeviceTable::Location DeviceTable::location_of(const Device& device) {
  return {device.backend, device.library, device.driver_index, device.device_index};
}

/// What a driver says goes before what anybody has decided about the device.
void DeviceTable::show(Device& device) const {
  if (!model::is_well(device.health)) return;
  const auto found = withheld_.find(location_of(device));
  device.health = found == withheld_.end() ? Health::kHealthy : found->second.as;
  device.health_text = found == withheld_.end() ? "" : found->second.why;
}

void DeviceTable::withhold(const Location& location, Health as, const std::string& why) {
  withheld_[location] = {as, why};
  for (Device& device : devices_) show(device);
}

void DeviceTable::give_back(const Location& location) {
  withheld_.erase(location);
  for (Device& device : devices_) show(device);
}

Health DeviceTable::withheld(const Device& device) const {
  const auto found = withheld_.find(location_of(device));
  return found == withheld_.end() ? Health::kHealthy : found->second.as;
}

std::string why_not_used(const Device& device) {
  std::string text = "device " + device.id + " cannot be used: it is " + std::string(model::health_name(device.health));
  if (!model::is_well(device.health)) return text + ": " + device.health_text;
  if (!device.health_text.empty()) text += " (" + device.health_text + ")";
  return text + "; amalgam undrain " + device.id;
}

const Device* DeviceTable::find(const std::string& id) const {
  auto found = std::ranges::find(devices_, id, &Device::id);
  return found == devices_.end() ? nullptr : &*found;
}

std::vector<std::string> DeviceTable::healthy() const {
  std::vector<std::string> ids;
  for (const Device& device : devices_)
    if (device.health == Health::kHealthy) ids.push_back(device.id);
  return ids;
}

Result<std::vector<std::string>> DeviceTable::select(const std::vector<std::string>& selectors) const {
  std::vector<bool> taken(devices_.size(), selectors.empty());
  for (const std::string& selector : selectors) {
    bool known = false;
    for (size_t i = 0; i < devices_.size(); ++i) {
      const Device& device = devices_[i];
      if (device.id == selector && device.health != Health::kHealthy) return fail(Code::kUnavailable, why_not_used(device));
      if (device.id != selector && (device.backend != selector || device.health != Health::kHealthy)) continue;
      known = true;
      taken[i] = true;
    }
    if (known) continue;
    std::string there;
    for (const Device& device : devices_) there += (there.empty() ? "" : ", ") + device.id + " (" + device.name + ")";
    return fail(Code::kNotFound,
                "there is no device " + selector + "; there is " + (there.empty() ? "no device at all" : there));
  }
  std::vector<std::string> ids;
  for (size_t i = 0; i < devices_.size(); ++i)
    if (taken[i] && devices_[i].health == Health::kHealthy) ids.push_back(devices_[i].id);
  return ids;
}

std::vector<std::string> DeviceTable::pools_of(const std::vector<std::string>& ids) const {
  std::vector<std::string> pools;
  for (const std::string& id : ids) {
    const Device* device = find(id);
    if (device != nullptr && std::ranges::find(pools, device->memory_pool) == pools.end())
      pools.push_back(device->memory_pool);
  }
  return pools;
}

}  // namespace amalgam::daemon
