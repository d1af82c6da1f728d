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

void add_ps(CommandLine& line, const Invocation& invocation) {
  const Verb verb =
      line.verb("ps", "Sessions: program, user, slice and its terms, device time, memory, commands, queue depth");
  auto json = std::make_shared<bool>(false);
  verb.flag("--json", *json, "Raw numbers");
  verb.does([&invocation, json] {
    auto client = Client::connect(invocation.socket);
    if (!client && client.error().code == Code::kNotFound) {
      write_out(*json ? sessions_json({})
                      : "No daemon runs, so there are no sessions; `amalgam run -- PROGRAM` starts both.\n");
      return 0;
    }
    return ask_and_show(
        client, [](const Client& daemon) { return daemon.sessions(); },
        [&](const auto& sessions) { show(sessions, *json); });
  });
}

}  // namespace amalgam::cli
