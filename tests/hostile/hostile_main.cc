// SPDX-License-Identifier: Apache-2.0
// hostile: attacks its own session in one named way.
//
//   hostile ATTACK SEED      one attack, then checks that the daemon still answers; ends with 0 if so
//   hostile --list           their names
//
// Run it through `amalgam run`, which names the daemon and the slice. What happens to our own worker does not matter.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "victim.h"

namespace {

bool daemon_answers() {
  auto daemon = hostile::protocol::Channel::connect(hostile::protocol::default_socket_path());
  if (!daemon) return false;
  return daemon->call<hostile::protocol::StatusReport>(hostile::protocol::GetStatus{}, 60'000).has_value();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const hostile::Attack& attack : hostile::attacks()) std::printf("%s\n", attack.name);
    return 0;
  }
  if (argc != 3) return 2;
  for (const hostile::Attack& attack : hostile::attacks()) {
    if (std::strcmp(attack.name, argv[1]) != 0) continue;
    hostile::Random random(std::strtoull(argv[2], nullptr, 0));
    attack.run(random);
    if (daemon_answers()) return 0;
    std::printf("the daemon does not answer after %s %s\n", argv[1], argv[2]);
    return 1;
  }
  std::printf("no attack %s\n", argv[1]);
  return 2;
}
