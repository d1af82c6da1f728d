// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "north/cli/child.h"
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

}  // namespace

int complain(const Error& error, int status) {
  fmt::print(stderr, "amalgam: {}\n", error.message.empty() ? std::string(code_name(error.code)) : error.message);
  return status;
}

int amalgam_main(int argc, const char* const* argv) {
  Invocation invocation;
  CommandLine line("amalgam", "Runs programs on slices of a pool of accelerators, and shows the pool.",
                   std::string("amalgam ") + AMALGAM_VERSION);
  for (auto* add : {add_run, add_set, add_migrate, add_drain, add_undrain, add_devices, add_ps, add_top, add_events,
                    add_explain, add_trace, add_sim, add_status, add_limits, add_metrics, add_shutdown})
    add(line, invocation);
  line.option_everywhere("--socket", invocation.socket, "PATH",
                         "The daemon's socket; default: $AMALGAM_SOCKET, the system's, your own");
  auto status = line.read(cut_program(argc, argv, invocation));
  if (status) return *status;
  return complain(status.error(), line.chose("run") ? kOwnFailure : kUsage);
}

}  // namespace amalgam::cli
