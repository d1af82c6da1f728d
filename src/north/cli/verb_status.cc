// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/units.h"
#include "north/cli/console.h"
#include "north/cli/listing.h"
#include "north/cli/starter.h"
#include "north/cli/text.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

void show(const protocol::StatusReport& report, bool json) {
  if (json) return write_out(status_json(report));
  write_out(
      fmt::format("amalgamd {}, pid {}, up {}\n  socket    {}\n  config    {}\n  metrics   {}\n  devices   {}\n  slices    "
                  "{}\n  sessions  {}\n",
                  printable(report.version), report.pid, format_duration(report.uptime_ms * 1'000'000),
                  printable(report.socket), report.config.empty() ? "(built-in defaults)" : printable(report.config),
                  report.metrics_address.empty() ? "off" : "http://" + printable(report.metrics_address) + "/metrics",
                  report.devices, report.slices, report.sessions));
  for (const std::string& line : confinement_lines(report.confinement)) write_out("  " + line + "\n");
}

}  // namespace

void add_status(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("status", "The daemon: since when, where, with what");
  auto json = std::make_shared<bool>(false);
  verb.flag("--json", *json, "Raw numbers");
  verb.does([&invocation, json] {
    return ask_and_show(
        connect_or_start(invocation.socket), [](const Client& client) { return client.status(); },
        [&](const auto& report) { show(report, *json); });
  });
}

}  // namespace amalgam::cli
