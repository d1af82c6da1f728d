// SPDX-License-Identifier: Apache-2.0
// `amalgam sim`: replays a recorded trace of launches under several policies, in virtual time.
//
// The arbiter is not reached from here but through the protocol, and a replay needs no daemon, no device and no session. So
// it is a program of its own, amalgam-sim, that holds the real arbiter, and this verb becomes it. A request to the daemon
// was rejected: a trace can be large and take minutes, and whoever sends one could keep the machine's daemon busy with it.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "north/cli/places.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

struct SimOptions {
  std::string trace, policies = "fair,priority,deadline", quantum;
  bool json = false, whole = false;
};

int become(const SimOptions& options) {
  auto folder = own_folder();
  if (!folder) return complain(folder.error());
  auto program = Places::find_sim(*folder);
  if (!program) return complain(program.error());
  std::vector<std::string> words{program->string(), "--policy", options.policies};
  if (!options.quantum.empty()) words.insert(words.end(), {"--quantum-ms", options.quantum});
  if (options.whole) words.emplace_back("--no-freeze");
  if (options.json) words.emplace_back("--json");
  words.insert(words.end(), {"--", options.trace});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  return complain(system_error("execute " + words[0], errno));
}

}  // namespace

void add_sim(CommandLine& line, const Invocation&) {
  const Verb verb = line.verb("sim", "Replay a recorded trace in virtual time, and compare policies");
  auto options = std::make_shared<SimOptions>();
  verb.option("TRACE", options->trace, "JSON lines: launches and terms, see docs/using.md; -: standard input").required();
  verb.option("--policy", options->policies, "Policies to compare").type("NAME[,NAME]…").shows_default();
  verb.option("--quantum-ms", options->quantum, "Longest time of one turn").type("N");
  verb.flag("--no-freeze", options->whole, "A launch that runs is not interrupted, as on devices other than processors");
  verb.flag("--json", options->json, "Raw numbers");
  verb.footer("It needs no daemon and no device.");
  verb.does([options] { return become(*options); });
}

}  // namespace amalgam::cli
