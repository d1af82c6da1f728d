// SPDX-License-Identifier: Apache-2.0
#include "worker/driver_probe.h"

#include "worker/backends.h"

namespace amalgam::worker {
namespace {

int refuse(const protocol::Channel& daemon, const Error& error) {
  (void)daemon.send(protocol::Refused{error.code, error.message});
  return 1;
}

int unknown_backend(const protocol::Channel& daemon, const std::string& name) {
  return refuse(daemon, Error(Code::kNotFound, "no backend is named " + name));
}

}  // namespace

int list_libraries(const protocol::Channel& daemon, const std::string& name) {
  auto backend = make_backend(name);
  if (backend == nullptr) return unknown_backend(daemon, name);
  protocol::DeviceList list;
  for (std::string& library : backend->libraries()) {
    protocol::DeviceEntry entry;
    entry.device.backend = name;
    entry.device.library = std::move(library);
    list.entries.push_back(std::move(entry));
  }
  list.total = static_cast<uint32_t>(list.entries.size());
  if (auto sent = daemon.send(list); !sent) return 1;
  return daemon.send(protocol::Done{}) ? 0 : 1;
}

int probe(const protocol::Channel& daemon, const std::string& name, const std::string& library) {
  auto backend = make_backend(name);
  if (backend == nullptr) return unknown_backend(daemon, name);
  auto devices = backend->discover(library);
  if (!devices) return refuse(daemon, std::move(devices.error()).within("probe " + library));
  for (model::Device& device : *devices) {
    protocol::DeviceList page;
    page.total = static_cast<uint32_t>(devices->size());
    page.entries.emplace_back().device = std::move(device);
    if (auto sent = daemon.send(page); !sent) return refuse(daemon, sent.error());
  }
  return daemon.send(protocol::Done{}) ? 0 : 1;
}

}  // namespace amalgam::worker
