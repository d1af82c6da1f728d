// SPDX-License-Identifier: Apache-2.0
// Discovery: asks every driver of the machine what devices it has, each in a process of its own, because drivers hang and
// crash.
//
//   for each backend:  amalgam-worker --libraries BACKEND   ─▶ DeviceList, Done
//   for each library:  amalgam-worker --probe BACKEND LIBRARY ─▶ DeviceList …, Done | Refused | a crash | silence
//
// A driver that crashes, refuses or stays silent for kProbeTimeoutMs becomes one sick device that bears its library's name
// and the reason. A few probes run at a time.
//
// Threads: the loop's. Lifetime: probes still running end with the object, and `found` is not called then.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <string>
#include <vector>

#include "daemon/host/event_loop.h"
#include "daemon/host/launcher.h"
#include "daemon/host/logger.h"
#include "model/device.h"

namespace amalgam::daemon {

class Discovery {
 public:
  using Found = std::function<void(std::vector<model::Device>)>;
  Discovery(EventLoop& loop, Logger& log, Launcher& launcher) : loop_(loop), log_(log), launcher_(launcher) {}
  ~Discovery();
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

  /// Probes everything, then calls `found` once. Does nothing while one is under way.
  void start(const std::vector<std::string>& backends, Found found);
  bool running() const { return static_cast<bool>(found_); }

 private:
  struct Task {
    std::string backend, library;  ///< library empty: list the libraries
  };
  struct Probe {
    Task task;
    Launcher::Started worker;
    std::vector<model::Device> devices;
    bool done = false;
    std::string trouble;
    EventLoop::TimerId timer = 0;
  };
  using Place = std::list<Probe>::iterator;
  void start_more();
  Result<void> launch(Task task);
  void on_channel(Place probe);
  bool take_packet(Probe& probe, const protocol::Packet& packet);
  void on_end(Place probe);
  void conclude(const Task& task, std::vector<model::Device> devices, const std::string& trouble);

  EventLoop& loop_;
  Logger& log_;
  Launcher& launcher_;
  std::deque<Task> tasks_;
  std::list<Probe> probes_;
  std::vector<model::Device> devices_;
  Found found_;
};

}  // namespace amalgam::daemon
