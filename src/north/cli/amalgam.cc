// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "north/cli/child.h"
#include "north/cli/usage.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

/// What follows the first "--" is the program's and none of our parser's business.
std::vector<std::string> cut_program(int argc, const char* const* argv, Invocation& invocation) {
  std::vector<std::string> own(argv, argv + argc);
  auto mark = std::find(own.begin(), own.end(), "--");
  if (mark != own.end()) {
    invocation.program.assign(mark + 1, own.end());
    own.erase(mark, own.end());
  }
  return own;
}

/// Before or after the verb; a verb that fell through to the options above it would pass its program's words on as well.
void add_socket(CLI::App& app, Invocation& invocation) {
  app.add_option("--socket", invocation.socket, "The daemon's socket; default: $AMALGAM_SOCKET, the system's, your own")
      ->type_name("PATH");
}

/// Help was asked for, or something is wrong with the words.
int parse_failure(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);
  return complain(usage_error(app, error), app.got_subcommand("run") ? kOwnFailure : kUsage);
}

}  // namespace

int complain(const Error& error, int status) {
  fmt::print(stderr, "amalgam: {}\n", error.message.empty() ? std::string(code_name(error.code)) : error.message);
  return status;
}

int amalgam_main(int argc, const char* const* argv) {
  Invocation invocation;
  CLI::App app("Runs programs on slices of a pool of accelerators, and shows the pool.", "amalgam");
  app.set_version_flag("--version", std::string("amalgam ") + AMALGAM_VERSION);
  add_socket(app, invocation);
  app.require_subcommand(1);
  for (auto* add : {add_run, add_set, add_migrate, add_devices, add_ps, add_top, add_explain, add_trace, add_sim, add_status,
                    add_limits, add_metrics, add_shutdown})
    add(app, invocation);
  for (CLI::App* verb : app.get_subcommands({})) add_socket(*verb, invocation);

  std::vector<std::string> own = cut_program(argc, argv, invocation);
  std::vector<const char*> words;
  for (const std::string& word : own) words.push_back(word.c_str());
  try {
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ParseError& error) {
    return parse_failure(app, error);
  }
  return invocation.status;
}

}  // namespace amalgam::cli
