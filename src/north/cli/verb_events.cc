// SPDX-License-Identifier: Apache-2.0
// `amalgam events`: what happened to devices and sessions, and why; as it happens with --follow.
#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "north/cli/console.h"
#include "north/cli/event_text.h"
#include "north/cli/listing.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

constexpr uint64_t kShownBefore = 10;  ///< of the events before, where those to come are wanted

struct EventOptions {
  uint64_t last = kEventCount;
  bool follow = false;
  bool json = false;
};

/// One event a line, in JSON too: a list has no end here.
void show_next(const std::vector<protocol::Event>& events, size_t first, bool json) {
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
  std::string text;
  for (size_t i = first; i < events.size(); ++i)
    text += (json ? event_json(events[i]).dump(-1, ' ', false, kReplace) : event_line(events[i])) + "\n";
  write_out(text);
}

size_t first_of(const std::vector<protocol::Event>& events, uint64_t last) {
  return events.size() > last ? events.size() - last : 0;
}

int list(const Client& client, const EventOptions& options) {
  auto events = client.events(0);
  if (!events) return complain(events.error());
  const size_t first = first_of(events->entries, options.last);
  if (!options.json) {
    show_next(events->entries, first, false);
    return 0;
  }
  nlohmann::json all = nlohmann::json::array();
  for (size_t i = first; i < events->entries.size(); ++i) all.push_back(event_json(events->entries[i]));
  write_out(json_text(all));
  return 0;
}

int follow(const Client& client, const EventOptions& options) {
  auto events = client.events(0);
  size_t first = events ? first_of(events->entries, std::min(options.last, kShownBefore)) : 0;
  while (events) {
    show_next(events->entries, first, options.json);
    first = 0;
    events = client.next_events(events->last);
  }
  return complain(events.error());
}

}  // namespace

void add_events(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("events", "What happened to devices and sessions, and why");
  auto options = std::make_shared<EventOptions>();
  verb.option("--last", options->last, "So many of them; with --follow at most 10 that were before")
      .type("N")
      .between(uint64_t{0}, kEventCount);
  verb.flag("--follow,-f", options->follow, "And what happens from now on, until you end it");
  verb.flag("--json", options->json, "Raw numbers; with --follow one event a line");
  verb.footer(
      "You are told of devices and of your own sessions; root and whoever runs the daemon of everything. The daemon keeps "
      "so\n"
      "many (event-count of `amalgam limits`), also when it is started anew.");
  verb.does([&invocation, options] {
    auto client = Client::connect(invocation.socket);
    if (!client) return complain(client.error());
    return options->follow ? follow(*client, *options) : list(*client, *options);
  });
}

}  // namespace amalgam::cli
