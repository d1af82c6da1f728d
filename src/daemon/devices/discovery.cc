// SPDX-License-Identifier: Apache-2.0
#include "daemon/devices/discovery.h"

#include <signal.h>
#include <sys/epoll.h>

#include <filesystem>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

constexpr size_t kProbesAtOnce = 2;
constexpr uint64_t kLingerMs = 1000;  ///< from hanging up to the end

}  // namespace

Discovery::~Discovery() {
  for (Probe& probe : probes_) {
    loop_.unwatch(probe.worker.channel.fd());
    loop_.unwatch(probe.worker.process.pidfd.get());
    loop_.cancel(probe.timer);
    signal_group(probe.worker.process, SIGKILL);
    reap(probe.worker.process);
  }
}

void Discovery::start(const std::vector<std::string>& backends, Found found) {
  if (running()) return;
  found_ = std::move(found);
  devices_.clear();
  for (const std::string& backend : backends) tasks_.push_back({backend, ""});
  start_more();
}

void Discovery::start_more() {
  while (!tasks_.empty() && probes_.size() < kProbesAtOnce) {
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    if (auto launched = launch(task); !launched) conclude(task, {}, launched.error().message);
  }
  if (!probes_.empty() || !running()) return;
  Found found = std::move(found_);
  found_ = nullptr;
  found(std::move(devices_));
  devices_.clear();
}

Result<void> Discovery::launch(Task task) {
  std::vector<std::string> arguments = task.library.empty()
                                           ? std::vector<std::string>{"--libraries", task.backend}
                                           : std::vector<std::string>{"--probe", task.backend, task.library};
  auto started = launcher_.start_probe(std::move(arguments), task.library);
  if (!started) return std::unexpected(std::move(started.error()));
  Place probe = probes_.insert(probes_.end(), Probe{});
  probe->task = std::move(task);
  probe->worker = std::move(*started);
  AMALGAM_TRY(loop_.watch(probe->worker.channel.fd(), EPOLLIN, [this, probe](uint32_t) { on_channel(probe); }), "probe");
  AMALGAM_TRY(loop_.watch(probe->worker.process.pidfd.get(), EPOLLIN, [this, probe](uint32_t) { on_end(probe); }), "probe");
  probe->timer = loop_.after_ms(kProbeTimeoutMs, [this, probe] {
    probe->timer = 0;
    probe->trouble = "the driver did not answer within " + std::to_string(kProbeTimeoutMs / 1000) + " s";
    signal_group(probe->worker.process, SIGKILL);
  });
  return {};
}

void Discovery::on_channel(Place probe) {
  for (;;) {
    auto packet = probe->worker.channel.receive(0, protocol::Passengers::kLeave);
    if (!packet && packet.error().code == Code::kTimeout) return;
    if (packet && take_packet(*probe, *packet)) continue;
    // Its end, or our verdict on it, follows when the process has gone.
    loop_.unwatch(probe->worker.channel.fd());
    if (probe->trouble.empty() && packet && !probe->done) probe->trouble = "its probe broke the protocol";
    loop_.cancel(probe->timer);
    probe->timer = loop_.after_ms(kLingerMs, [probe] {
      probe->timer = 0;
      signal_group(probe->worker.process, SIGKILL);
    });
    return;
  }
}

/// False when nothing more is wanted from it.
bool Discovery::take_packet(Probe& probe, const protocol::Packet& packet) {
  if (packet.type() == protocol::ControlType::kDone) {
    probe.done = true;
    return false;
  }
  if (packet.type() == protocol::ControlType::kRefused) {
    probe.trouble = packet.as<protocol::Done>().error().message;
    return false;
  }
  auto list = packet.as<protocol::DeviceList>();
  if (!list || probe.devices.size() + list->entries.size() > kMaxDevices) return false;
  for (protocol::DeviceEntry& entry : list->entries) probe.devices.push_back(std::move(entry.device));
  return true;
}

void Discovery::on_end(Place probe) {
  // What it said before its end is still in the socket.
  if (!probe->done && probe->trouble.empty()) on_channel(probe);
  loop_.unwatch(probe->worker.channel.fd());
  loop_.unwatch(probe->worker.process.pidfd.get());
  loop_.cancel(probe->timer);
  std::string how = reap(probe->worker.process);
  (void)probe->worker.group.remove();
  std::string trouble = std::move(probe->trouble);
  if (!probe->done && trouble.empty()) trouble = "the driver ended its probe: " + how;
  if (probe->done) trouble.clear();
  Task task = std::move(probe->task);
  std::vector<model::Device> devices = std::move(probe->devices);
  probes_.erase(probe);
  conclude(task, std::move(devices), trouble);
  start_more();
}

void Discovery::conclude(const Task& task, std::vector<model::Device> devices, const std::string& trouble) {
  if (!trouble.empty()) {
    model::Device sick;
    sick.backend = task.backend;
    sick.library = task.library;
    sick.name = task.library.empty() ? task.backend : std::filesystem::path(task.library).filename().string();
    sick.health = model::Health::kSick;
    sick.health_text = trouble;
    log_.warn("{} {}: sick: {}", task.backend, task.library, trouble);
    devices_.push_back(std::move(sick));
    return;
  }
  if (task.library.empty()) {
    if (devices.empty()) log_.warn("{}: no driver is installed", task.backend);
    for (const model::Device& device : devices) tasks_.push_back({task.backend, device.library});
    return;
  }
  if (devices.empty()) log_.info("{} {}: has no devices", task.backend, task.library);
  for (model::Device& device : devices) {
    device.backend = task.backend;
    device.library = task.library;
    log_.info("{} {}: {} ({})", task.backend, task.library, device.name,
              device.health == model::Health::kHealthy ? "healthy" : device.health_text);
    devices_.push_back(std::move(device));
  }
}

}  // namespace amalgam::daemon
