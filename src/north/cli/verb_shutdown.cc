// SPDX-License-Identifier: Apache-2.0
#include "north/cli/verbs.h"

namespace amalgam::cli {

void add_shutdown(CLI::App& app, Invocation& invocation) {
  CLI::App* verb = app.add_subcommand("shutdown", "End the daemon in order: sessions are told, then it leaves");
  verb->callback([&invocation] {
    auto client = Client::connect(invocation.socket);
    if (!client) {
      invocation.status = complain(client.error());
      return;
    }
    auto done = client->shutdown();
    invocation.status = done ? 0 : complain(done.error());
  });
}

}  // namespace amalgam::cli
