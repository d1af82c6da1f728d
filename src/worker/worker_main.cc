// SPDX-License-Identifier: Apache-2.0
// amalgam-worker: started by amalgamd, never by hand. Holds the vendor's driver for one session, or probes one. It begins
// with the daemon's rights, and gives them up before it does anything.
#include <unistd.h>

#include <cstdio>
#include <string>

#include "worker/confine/confine.h"
#include "worker/driver_probe.h"
#include "worker/process_setup.h"
#include "worker/serve.h"

namespace {

using amalgam::Result;
using amalgam::model::Confinement;
using amalgam::protocol::Channel;

constexpr int kOrderTimeoutMs = 60'000;

Result<Confinement> confined(const Channel& daemon, const std::vector<std::string>& program) {
  auto packet = daemon.receive(kOrderTimeoutMs);
  if (!packet) return std::unexpected(std::move(packet.error()));
  auto order = packet->as<amalgam::protocol::Confine>();
  if (!order) return std::unexpected(std::move(order.error()));
  return amalgam::worker::confine(*order, program);
}

int run(int argc, char** argv) {
  using namespace amalgam::worker;
  const std::string mode = argc > 1 ? argv[1] : "";
  Channel daemon{amalgam::UniqueFd(kDaemonFd)};
  const bool lists = mode == "--libraries" && argc == 3, probes = mode == "--probe" && argc == 4,
             checks = mode == "--check" && argc == 2;
  if (!lists && !probes && !checks && argc != 1) {
    std::fprintf(stderr, "amalgam-worker is started by amalgamd; see amalgamd --help\n");
    return 2;
  }
  const std::string splitter = find_splitter();
  auto confinement = confined(daemon, {own_folder(), splitter});
  if (!confinement) {
    (void)daemon.send(amalgam::protocol::Refused{confinement.error().code, confinement.error().message});
    return 1;
  }
  if (lists) return list_libraries(daemon, argv[2]);
  if (probes) return probe(daemon, argv[2], argv[3]);
  return serve(std::move(daemon), std::move(*confinement), splitter, checks);
}

}  // namespace

int main(int argc, char** argv) {
  amalgam::worker::settle_process();
  ::_exit(run(argc, argv));  // a driver's destructors may hang, and have nothing to save
}
