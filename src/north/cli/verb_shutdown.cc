// SPDX-License-Identifier: Apache-2.0
#include "north/cli/console.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {

void add_shutdown(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("shutdown", "End the daemon in order: sessions are told, then it leaves");
  verb.does([&invocation] {
    auto client = Client::connect(invocation.socket);
    if (!client && client.error().code == Code::kNotFound) {
      write_out("No daemon runs.\n");
      return 0;
    }
    if (!client) return complain(client.error());
    auto done = client->shutdown();
    return done ? 0 : complain(done.error());
  });
}

}  // namespace amalgam::cli
