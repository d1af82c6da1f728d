// SPDX-License-Identifier: Apache-2.0
// `amalgam explain`: where the time of a session's slice went on each of its devices, and the devices' last decisions.
#include <fmt/format.h>

#include "base/limits.h"
#include "north/cli/console.h"
#include "north/cli/explain_text.h"
#include "north/cli/listing.h"
#include "north/cli/text.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

constexpr uint64_t kShown = 10;  ///< decisions that are shown unless somebody asks for more

struct ExplainOptions {
  uint64_t session = 0;
  uint64_t last = kShown;
  bool json = false;
};

using Answers = std::vector<protocol::Explanation>;

std::string head(const protocol::Explanation& answer) {
  std::string cap = model::format_part(answer.terms.cap_ppm);
  std::string share = model::format_part(answer.terms.share_ppm);
  return fmt::format("session {}: {} in slice {} \"{}\" (share {}, cap {}, priority {}, slo {})\n", answer.session,
                     printable(answer.program), answer.slice, printable(answer.slice_name), share, cap,
                     model::priority_name(answer.terms.priority), model::format_slo(answer.terms.slo));
}

void show(const Answers& answers, bool json) {
  if (json) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& answer : answers) list.push_back(explain_json(answer));
    return write_out(json_text(list));
  }
  if (answers.empty()) return;
  write_out(head(answers[0]));
  if (answers[0].ended) write_out(end_line(answers[0]) + "\n");
  for (const auto& answer : answers) write_lines(explain_lines(answer));
}

}  // namespace

void add_explain(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("explain", "Where a session's time went: ran, waited for whom and why; the last decisions");
  auto options = std::make_shared<ExplainOptions>();
  verb.session(options->session);
  verb.option("--last", options->last, "Decisions of each device to show").type("N").between(uint64_t{0}, kExplainDecisions);
  verb.flag("--json", options->json, "Raw numbers");
  verb.footer(
      "The numbers are the slice's, whose sessions run together, since it came to the device. Your own slices only, unless\n"
      "you are root or run the daemon; other users' slices are \"another slice\". Of a session that has ended it says why;\n"
      "the daemon remembers so many (ended-sessions of `amalgam limits`).");
  verb.does([&invocation, options] {
    return ask_and_show(
        invocation, [&](const Client& client) { return client.explanations(options->session, options->last); },
        [&](const Answers& answers) { show(answers, options->json); });
  });
}

}  // namespace amalgam::cli
