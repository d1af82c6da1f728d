// SPDX-License-Identifier: Apache-2.0
// `amalgam migrate`: moves a session to another device, or to a new worker of the same one, while its program runs.
#include <fmt/format.h>

#include "base/units.h"
#include "north/cli/console.h"
#include "north/cli/listing.h"
#include "north/cli/text.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

struct MigrateOptions {
  uint64_t session = 0;
  std::string to;
  bool dry_run = false;
  bool json = false;
};

std::string ms_text(uint64_t us) { return fmt::format("{:.1f} ms", static_cast<double>(us) / 1000); }

void show(const MigrateOptions& options, const protocol::SessionMoved& moved) {
  if (options.json) return write_out(moved_json(options.session, options.dry_run, moved));
  if (options.dry_run)
    return write_out(fmt::format("session {} can move from {} to {}; its objects were made there in {}\n", options.session,
                                 moved.from, moved.to, ms_text(moved.prepare_us)));
  write_out(
      fmt::format("session {} has moved from {} to {}: prepared in {}, stood still for {}\n"
                  "  {} objects, {} copied, {} commands under way\n",
                  options.session, moved.from, moved.to, ms_text(moved.prepare_us), ms_text(moved.pause_us), moved.objects,
                  format_bytes(moved.copied_bytes), moved.pending));
}

}  // namespace

void add_migrate(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("migrate", "Move a session to another device while its program runs");
  auto options = std::make_shared<MigrateOptions>();
  verb.session(options->session);
  verb.option("--to", options->to, "A device of `amalgam devices`; the session's own: it gets a new worker").required();
  verb.flag("--dry-run", options->dry_run, "Only make its objects there, and say whether that works");
  verb.flag("--json", options->json, "Raw numbers");
  verb.footer(
      "The program notices a pause. What the other device lacks is found before anything moves; then, and whatever else\n"
      "fails, the session stays where it is. Your own sessions only, unless you are root.");
  verb.does([&invocation, options] {
    return ask_and_show(
        invocation,
        [&](const Client& client) {
          protocol::MoveSession wish;
          wish.session = options->session;
          wish.to = options->to;
          wish.dry_run = options->dry_run;
          return client.move_session(wish);
        },
        [&](const protocol::SessionMoved& moved) { show(*options, moved); });
  });
}

}  // namespace amalgam::cli
