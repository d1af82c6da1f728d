// SPDX-License-Identifier: Apache-2.0
#include "north/cli/console.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {

void add_metrics(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("metrics", "All counters in Prometheus' text format");
  verb.does([&invocation] {
    return ask_and_show(
        invocation, [](const Client& client) { return client.metrics(); }, [](const std::string& text) { write_out(text); });
  });
}

}  // namespace amalgam::cli
