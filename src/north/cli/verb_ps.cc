// SPDX-License-Identifier: Apache-2.0
#include "north/cli/console.h"
#include "north/cli/listing.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

void show(const std::vector<protocol::SessionEntry>& sessions, bool json) {
  if (json) {
    write_out(sessions_json(sessions));
  } else {
    write_lines(session_lines(sessions, console_size().columns));
  }
}

}  // namespace

void add_ps(CLI::App& app, Invocation& invocation) {
  CLI::App* verb =
      app.add_subcommand("ps", "Sessions: program, user, slice and its terms, device time, memory, commands, queue depth");
  auto json = std::make_shared<bool>(false);
  verb->add_flag("--json", *json, "Raw numbers");
  verb->callback([&invocation, json] {
    invocation.status = ask_and_show(
        invocation, [](const Client& client) { return client.sessions(); },
        [&](const auto& sessions) { show(sessions, *json); });
  });
}

}  // namespace amalgam::cli
