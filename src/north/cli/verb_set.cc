// SPDX-License-Identifier: Apache-2.0
// `amalgam set`: other terms for a slice while its programs run. The user names a session, since that is what `ps` shows;
// terms belong to its slice, so the answer says which slice that is and whom else it changes.
#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "north/cli/console.h"
#include "north/cli/listing.h"
#include "north/cli/terms_options.h"
#include "north/cli/text.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

struct SetOptions {
  uint64_t session = 0;
  TermsOptions terms;
  bool json = false;
};

/// The sessions of the slice after the change; the one that was named first. Empty if it has ended meanwhile.
using Changed = std::vector<protocol::SessionEntry>;

Result<model::TermsPatch> wanted(const SetOptions& options) {
  auto terms = read_terms(options.terms);
  if (terms && terms->given == 0)
    return fail(Code::kInvalidArgument, "set: name what to change: --share, --cap, --priority, --slo or --memory");
  return terms;
}

Result<Changed> set(const Client& client, const SetOptions& options, const model::TermsPatch& terms) {
  protocol::SetSlice request;
  request.session = options.session;
  request.terms = terms;
  if (auto done = client.set_slice(request); !done) return fail(std::move(done.error()));
  auto sessions = client.sessions();
  if (!sessions) return fail(std::move(sessions.error()));
  auto named = std::ranges::find(*sessions, options.session, &protocol::SessionEntry::session);
  if (named == sessions->end()) return Changed();
  Changed changed{*named};
  for (const auto& entry : *sessions)
    if (entry.slice == named->slice && entry.session != named->session) changed.push_back(entry);
  return changed;
}

std::string others_text(const Changed& changed) {
  if (changed.size() == 1) return "";
  std::string text = changed.size() == 2 ? ", and with it session" : ", and with it sessions";
  for (size_t i = 1; i < changed.size(); ++i) text += (i == 1 ? " " : ", ") + std::to_string(changed[i].session);
  return text;
}

void show(const Changed& changed, bool json) {
  if (json) return write_out(terms_json(changed));
  if (changed.empty()) return write_out("changed, but the session has ended meanwhile\n");
  const protocol::SessionEntry& entry = changed[0];
  write_out(fmt::format("slice {} \"{}\" of session {}{}:\n  share {}, cap {}, priority {}, slo {}, memory {}\n",
                        entry.slice, printable(entry.slice_name), entry.session, others_text(changed), share_text(entry),
                        cap_text(entry), model::priority_name(entry.terms.priority), model::format_slo(entry.terms.slo),
                        entry.quota_bytes == 0 ? "none" : format_bytes(entry.quota_bytes)));
}

}  // namespace

void add_set(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("set", "Change the share, cap, priority, goal or memory of a slice while it runs");
  auto options = std::make_shared<SetOptions>();
  verb.session(options->session, "; the terms of its slice change");
  add_terms_options(verb, options->terms);
  verb.flag("--json", options->json, "Raw numbers");
  verb.footer(
      "All sessions of that slice are changed. The change is made at once and as a whole, or refused with the reason; what\n"
      "is not named stays. Your own slices only, unless you are root.");
  verb.does([&invocation, options] {
    auto terms = wanted(*options);
    if (!terms) return complain(terms.error(), kUsage);
    return ask_and_show(
        invocation, [&](const Client& client) { return set(client, *options, *terms); },
        [&](const Changed& changed) { show(changed, options->json); });
  });
}

}  // namespace amalgam::cli
