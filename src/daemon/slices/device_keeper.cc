// SPDX-License-Identifier: Apache-2.0
#include "daemon/slices/device_keeper.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

using model::Device;
using model::Health;
using protocol::EventKind;

WithheldRow row_of(const Device& device, Health as, const std::string& why) {
  return {device.backend, device.library, device.driver_index, device.device_index, as, why};
}

Error no_device(const std::string& device) {
  return {Code::kNotFound, "there is no device " + device + "; see `amalgam devices`"};
}

std::string users(uint32_t count) { return std::to_string(count) + (count == 1 ? " user" : " users"); }

}  // namespace

void DeviceKeeper::say(EventKind kind, const std::string& device, std::string text) {
  common_.log.info("device {}: {}: {}", device, protocol::event_name(kind), text);
  common_.events.add({.kind = kind, .device = device, .text = std::move(text)});
}

Result<void> DeviceKeeper::restore() {
  auto rows = common_.store.withheld();
  if (!rows) return std::unexpected(std::move(rows.error()));
  for (const WithheldRow& row : *rows)
    common_.devices.withhold({row.backend, row.library, row.driver_index, row.device_index}, row.as, row.why);
  return {};
}

void DeviceKeeper::found(const std::vector<Device>& before) {
  std::vector<std::string> suspects;
  for (const Device& device : common_.devices.all()) {
    const auto old = std::ranges::find(before, device.id, &Device::id);
    const bool was_there = old != before.end(), was_well = was_there && model::is_well(old->health);
    if (common_.devices.withheld(device) == Health::kDrained && is_used_(device.id)) emptying_.insert(device.id);
    if (model::is_well(device.health)) {
      if (!was_well) say(EventKind::kFound, device.id, was_there ? device.name + ", well again" : device.name);
    } else if (!was_there || old->health != device.health) {
      say(device.health == Health::kLost ? EventKind::kLost : EventKind::kSick, device.id, device.health_text);
    }
    if (was_well && device.health == Health::kSick) suspects.push_back(device.id);
  }
  for (const std::string& device : suspects) {
    ++faults_[device];
    suspicion_.probe_failed(device, monotonic_ms());
    judge(device);
  }
}

Result<void> DeviceKeeper::withhold(const Device& device, Health as, const std::string& why) {
  AMALGAM_TRY(common_.store.put(row_of(device, as, why)), "it cannot be recorded");
  common_.devices.withhold(DeviceTable::location_of(device), as, why);
  return {};
}

Result<void> DeviceKeeper::drain(const std::string& id, uid_t by) {
  const Device* device = common_.devices.find(id);
  if (device == nullptr) return fail(no_device(id));
  if (common_.devices.withheld(*device) != Health::kDrained) {
    const std::string why = "by user id " + std::to_string(by);
    if (auto done = withhold(*device, Health::kDrained, why); !done) return done;
    say(EventKind::kDraining, id, why);
  }
  emptying_.insert(id);
  look_for_empty();
  return {};
}

Result<void> DeviceKeeper::undrain(const std::string& id, uid_t by) {
  const Device* device = common_.devices.find(id);
  if (device == nullptr) return fail(no_device(id));
  const Health was = common_.devices.withheld(*device);
  if (was == Health::kHealthy)
    return fail(Code::kInvalidArgument, "device " + id + " is neither drained nor cordoned; see `amalgam devices`");
  AMALGAM_TRY(common_.store.drop_withheld(row_of(*device, was, "")), "it cannot be recorded");
  common_.devices.give_back(DeviceTable::location_of(*device));
  suspicion_.forget(id);
  emptying_.erase(id);
  say(was == Health::kCordoned ? EventKind::kUncordoned : EventKind::kUndrained, id, "by user id " + std::to_string(by));
  return {};
}

void DeviceKeeper::look_for_empty() {
  for (auto device = emptying_.begin(); device != emptying_.end();) {
    if (is_used_(*device)) {
      ++device;
      continue;
    }
    const std::string empty = std::move(emptying_.extract(device++).value());
    say(EventKind::kDrained, empty, "no session is there any more");
  }
}

/// Whether that says anything of the device.
bool DeviceKeeper::speaks(const std::string& id, Fault fault) const {
  const Device* device = common_.devices.find(id);
  const bool is_own_crash = fault == Fault::kCrash && device != nullptr && device->kind == model::DeviceKind::kCpu;
  return common_.config.cordon == Cordon::kAll || (common_.config.cordon == Cordon::kAccelerators && !is_own_crash);
}

void DeviceKeeper::fault(const Session& session, Fault fault, const std::string& what) {
  const double part = 1.0 / static_cast<double>(std::max<size_t>(session.devices.size(), 1));
  for (const std::string& device : session.devices) {
    ++faults_[device];
    if (!speaks(device, fault)) continue;
    if (suspicion_.fault(device, session.uid, part, monotonic_ms()))
      common_.events.add({.kind = EventKind::kFaults,
                          .uid = session.uid,
                          .session = session.id,
                          .slice = session.slice,
                          .device = device,
                          .text = "workers of this user fail there again and again, the last one so: " + what +
                                  "; one user's word cordons no device"});
    judge(device);
  }
}

void DeviceKeeper::judge(const std::string& id) {
  const Device* device = common_.devices.find(id);
  if (common_.config.cordon == Cordon::kNever) return;
  if (device == nullptr || common_.devices.withheld(*device) != Health::kHealthy) return;
  const Suspicion::Verdict verdict = suspicion_.judge(id, monotonic_ms());
  if (!verdict.sick) return;
  std::string why = "workers of " + users(verdict.against) + " fail there, it works for " + users(verdict.in_favour);
  if (verdict.against < kFaultUsers) why = "the daemon's own probe has failed again and again";
  if (auto done = withhold(*device, Health::kCordoned, why); !done) {
    // Better for as long as this daemon lives than not at all.
    common_.log.error("device {}: {}", id, done.error().text());
    common_.devices.withhold(DeviceTable::location_of(*device), Health::kCordoned, why);
  }
  say(EventKind::kCordoned, id, why + "; amalgam undrain " + id);
}

void DeviceKeeper::well(const Session& session, double weight) {
  for (const std::string& device : session.devices) suspicion_.well(device, session.uid, weight, monotonic_ms());
}

uint64_t DeviceKeeper::faults(const std::string& device) const {
  const auto found = faults_.find(device);
  return found == faults_.end() ? 0 : found->second;
}

}  // namespace amalgam::daemon
