// SPDX-License-Identifier: Apache-2.0
#include "north/cli/verbs.h"

namespace amalgam::cli {

void add_shutdown(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand("shutdown", "End the daemon in order: sessions are told, then it leaves");
  verb->callback([&context] {
    auto client = Client::connect(context.socket);
    if (!client) {
      context.status = complain(client.error());
      return;
    }
    auto done = client->shutdown();
    context.status = done ? 0 : complain(done.error());
  });
}

}  // namespace amalgam::cli
