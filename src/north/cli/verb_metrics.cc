// SPDX-License-Identifier: Apache-2.0
#include "north/cli/console.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {

void add_metrics(CLI::App& app, Invocation& invocation) {
  CLI::App* verb = app.add_subcommand("metrics", "All counters in Prometheus' text format");
  verb->callback([&invocation] {
    invocation.status = ask_and_show(
        invocation, [](const Client& client) { return client.metrics(); }, [](const std::string& text) { write_out(text); });
  });
}

}  // namespace amalgam::cli
