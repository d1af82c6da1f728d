// SPDX-License-Identifier: Apache-2.0
// amalgam-worker: started by amalgamd, never by hand. Holds the vendor's driver for one session, or probes one.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "worker/driver_probe.h"
#include "worker/process_setup.h"
#include "worker/serve.h"

namespace {

using amalgam::protocol::Channel;
using amalgam::protocol::Token;

/// 32 hexadecimal digits, first word first.
std::optional<Token> parse_token(const char* text) {
  if (text == nullptr) return std::nullopt;
  std::string digits(text);
  if (digits.size() != 32 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) return std::nullopt;
  return Token{std::strtoull(digits.substr(0, 16).c_str(), nullptr, 16),
               std::strtoull(digits.substr(16).c_str(), nullptr, 16)};
}

int run(int argc, char** argv) {
  using namespace amalgam::worker;
  std::string mode = argc > 1 ? argv[1] : "";
  Channel daemon{amalgam::UniqueFd(kDaemonFd)};
  if (mode == "--libraries" && argc == 3) return list_libraries(daemon, argv[2]);
  if (mode == "--probe" && argc == 4) return probe(daemon, argv[2], argv[3]);
  auto secret = parse_token(std::getenv("AMALGAM_WORKER_SECRET"));
  if (argc != 1 || !secret) {
    std::fprintf(stderr, "amalgam-worker is started by amalgamd; see amalgamd --help\n");
    return 2;
  }
  ::unsetenv("AMALGAM_WORKER_SECRET");  // not for the driver's helpers
  const char* socket = std::getenv("AMALGAM_SOCKET");
  return serve(std::move(daemon), *secret, socket == nullptr ? "" : socket);
}

}  // namespace

int main(int argc, char** argv) {
  amalgam::worker::settle_process();
  ::_exit(run(argc, argv));  // a driver's destructors may hang, and have nothing to save
}
