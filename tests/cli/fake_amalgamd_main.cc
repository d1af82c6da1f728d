// SPDX-License-Identifier: Apache-2.0
// A stand-in for amalgamd in tests of `amalgam run` and `top`: takes --socket, ignores the rest, serves one client at a
// time, ends on SIGTERM. With FAKE_AMALGAMD_FAILS set it complains and ends at once.
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/limits.h"
#include "tests/cli/fake_daemon.h"

int main(int argc, char** argv) {
  if (::getenv("FAKE_AMALGAMD_FAILS") != nullptr) {
    std::fputs("amalgamd: the moon is in the wrong phase\n", stderr);
    return 1;
  }
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigprocmask(SIG_BLOCK, &end, nullptr);
  std::string path;
  for (int i = 1; i + 1 < argc; ++i)
    if (std::strcmp(argv[i], "--socket") == 0) path = argv[i + 1];
  ::mkdir(path.substr(0, path.rfind('/')).c_str(), 0700);
  amalgam::cli::FakeDaemon daemon(path);
  amalgam::protocol::DeviceEntry device;
  device.device.id = "opencl:0";
  device.device.name = "a processor";
  device.pool_bytes = 8 * amalgam::kGiB;
  daemon.devices.push_back(device);
  int signal = 0;
  sigwait(&end, &signal);
  // Clients may still be connected; a daemon that is killed does not say good-bye either.
  std::_Exit(0);
}
