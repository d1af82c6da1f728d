// SPDX-License-Identifier: Apache-2.0
// A worker whose drivers are broken in every way: one crashes, one refuses, one ends without a word, one is well.
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "protocol/control/channel.h"

namespace {

using namespace amalgam;

constexpr int kPatienceMs = 10'000;

int list(const protocol::Channel& daemon) {
  protocol::DeviceList list;
  for (const char* library : {"crashes.so", "refuses.so", "ends.so", "garbles.so", "well.so"}) {
    auto& device = list.entries.emplace_back().device;
    device.backend = "opencl";
    device.library = library;
  }
  (void)daemon.send(list);
  (void)daemon.send(protocol::Done{});
  return 0;
}

int probe(const protocol::Channel& daemon, const std::string& library) {
  protocol::DeviceList list;
  auto& device = list.entries.emplace_back().device;
  device.name = "half of " + library;
  device.memory_pool = "host";
  device.memory_bytes = kGiB;
  (void)daemon.send(list);
  if (library == "crashes.so") std::abort();
  if (library == "ends.so") return 3;
  if (library == "refuses.so") return daemon.send(protocol::Refused{Code::kDriver, "CL_OUT_OF_HOST_MEMORY"}) ? 1 : 1;
  if (library == "garbles.so") return daemon.send(protocol::Shutdown{}) ? 1 : 1;
  (void)daemon.send(protocol::Done{});
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  protocol::Channel daemon{UniqueFd(3)};
  (void)daemon.receive(kPatienceMs);  // how to confine itself; what is not read would take our answer with it
  if (argc == 3 && std::strcmp(argv[1], "--libraries") == 0) return list(daemon);
  if (argc == 4 && std::strcmp(argv[1], "--probe") == 0) return probe(daemon, argv[3]);
  if (argc == 2 && std::strcmp(argv[1], "--check") == 0) return daemon.send(protocol::WorkerHello{}) ? 0 : 1;
  // As a session's worker it ends at once.
  return 7;
}
