// SPDX-License-Identifier: Apache-2.0
// `amalgam drain` and `amalgam undrain`: take a device out of use, moving its sessions away, and give it back.
#include "north/cli/console.h"
#include "north/cli/drain_text.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

struct DrainOptions {
  std::string device, to;
  bool stay = false;
  bool json = false;
};

int drain(const Client& client, const DrainOptions& options) {
  protocol::DrainDevice wish;
  wish.device = options.device;
  wish.to = options.to;
  wish.stay = options.stay;
  DrainStory story;
  for (auto report = client.drain(wish);; report = client.watch_drain(options.device, report->seen)) {
    if (!report) return complain(report.error());
    const std::vector<std::string> lines = story.take(*report);
    if (!options.json) write_lines(lines);
    if (story.is_over()) break;
  }
  options.json ? write_out(story.json()) : write_lines(story.end_lines());
  return story.went_well(options.stay) ? 0 : kFailed;
}

}  // namespace

void add_drain(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("drain", "Take a device out of use: nothing new opens there, what runs there moves away");
  auto options = std::make_shared<DrainOptions>();
  verb.option("DEVICE", options->device, "A device of `amalgam devices`").required();
  verb.option("--to", options->to,
              "Where its sessions go; default: for each the device that can take it, with most free memory")
      .type("DEVICE");
  verb.flag("--stay", options->stay, "What runs there stays; only nothing new opens there");
  verb.flag("--json", options->json, "Raw numbers, when it is over");
  verb.footer(
      "First it is found out for each session whether it can move, as by `amalgam migrate --dry-run`. If one cannot, that "
      "is said\n"
      "and nothing has changed (exit status 1). Then they move, the most urgent first. The device stays drained when the "
      "daemon\n"
      "is started anew, until `amalgam undrain`. For root and whoever runs the daemon.");
  verb.does([&invocation, options] {
    auto client = Client::connect(invocation.socket);
    return client ? drain(*client, *options) : complain(client.error());
  });
}

void add_undrain(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("undrain", "Give back a device that was drained, or that the daemon has cordoned");
  auto device = std::make_shared<std::string>();
  verb.option("DEVICE", *device, "A device of `amalgam devices`").required();
  verb.does([&invocation, device] {
    return ask_and_show(
        invocation, [&](const Client& client) { return client.undrain(*device); }, [](const protocol::Done&) {});
  });
}

}  // namespace amalgam::cli
