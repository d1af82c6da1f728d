// SPDX-License-Identifier: Apache-2.0
// Verbs: what `amalgam` can be told, one file each (verb_<name>.cc).
//
// A verb adds itself to the command line (command_line.h); what it does when it is chosen gives the exit status.
// Listings print tables for people, or with --json the raw numbers for programs. Errors go to stderr and say what to do.
//
// Threads: one.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "north/cli/client.h"
#include "north/cli/command_line.h"

namespace amalgam::cli {

inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

/// What all verbs share.
struct Invocation {
  std::string socket;                ///< --socket; empty: the usual places
  std::vector<std::string> program;  ///< what follows "--"
};

void add_devices(CommandLine& line, const Invocation& invocation);
void add_drain(CommandLine& line, const Invocation& invocation);
void add_events(CommandLine& line, const Invocation& invocation);
void add_explain(CommandLine& line, const Invocation& invocation);
void add_limits(CommandLine& line, const Invocation& invocation);
void add_migrate(CommandLine& line, const Invocation& invocation);
void add_metrics(CommandLine& line, const Invocation& invocation);
void add_ps(CommandLine& line, const Invocation& invocation);
void add_run(CommandLine& line, const Invocation& invocation);
void add_set(CommandLine& line, const Invocation& invocation);
void add_shutdown(CommandLine& line, const Invocation& invocation);
void add_sim(CommandLine& line, const Invocation& invocation);
void add_status(CommandLine& line, const Invocation& invocation);
void add_top(CommandLine& line, const Invocation& invocation);
void add_trace(CommandLine& line, const Invocation& invocation);
void add_undrain(CommandLine& line, const Invocation& invocation);

/// The whole program; the exit status.
int amalgam_main(int argc, const char* const* argv);

/// Prints "amalgam: …" and returns `status`.
int complain(const Error& error, int status = kFailed);
/// Gets an answer with `ask(client)` and shows it with `show(answer)`; the exit status.
template <typename Ask, typename Show>
int ask_and_show(const Result<Client>& client, Ask ask, Show show) {
  if (!client) return complain(client.error());
  auto answer = ask(*client);
  if (!answer) return complain(answer.error());
  show(*answer);
  return 0;
}
/// The same of a daemon that runs already.
template <typename Ask, typename Show>
int ask_and_show(const Invocation& invocation, Ask ask, Show show) {
  return ask_and_show(Client::connect(invocation.socket), ask, show);
}

}  // namespace amalgam::cli
