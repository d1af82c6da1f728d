// SPDX-License-Identifier: Apache-2.0
// amalgam-sim: what `amalgam sim` becomes. Reads a trace, replays it under each policy with the real arbiter in virtual
// time, prints the comparison.
//
// It is a program of its own because the command line reaches the rest through the protocol alone, and a replay needs
// neither daemon nor device: here, beside amalgamd, the arbiter may be linked, and nothing that a trace does (size, length)
// can hold up a daemon that others use.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>

#include "base/limits.h"
#include "north/cli/console.h"
#include "tools/sim/report.h"

namespace {

using namespace amalgam;

struct Wish {
  std::string trace, policies = "fair,priority,deadline";
  uint64_t quantum_ms = kQuantumMs;
  bool json = false, whole = false;
};

constexpr int kFailed = 1, kUsage = 2;

int complain(const Error& error, int status) {
  fmt::print(stderr, "amalgam: {}\n", error.message);
  return status;
}

Result<void> simulate(const Wish& wish, const std::vector<std::string>& policies) {
  auto text = simtool::read_trace(wish.trace);
  if (!text) return fail(std::move(text.error()));
  auto trace = core::parse_trace(*text);
  if (!trace) return fail(std::move(trace.error()).within(simtool::trace_name(wish.trace)));
  core::VirtualDevice::Options options;
  options.arbiter.freezable = !wish.whole;
  options.arbiter.hints.quantum_ns = wish.quantum_ms * 1'000'000;
  auto reports = simtool::compare(*trace, policies, options);
  if (!reports) return fail(std::move(reports.error()).within(simtool::trace_name(wish.trace)));
  if (wish.json) {
    cli::write_out(simtool::compare_json(*reports).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  } else {
    cli::write_lines(simtool::compare_lines(*reports, cli::console_size().columns));
  }
  return {};
}

int run(int argc, char** argv) {
  Wish wish;
  CLI::App app("Replays a recorded trace in virtual time, and compares policies.", "amalgam sim");
  app.add_option("TRACE", wish.trace, "JSON lines: launches and terms; -: standard input")->required();
  app.add_option("--policy", wish.policies, "Policies to compare")->type_name("NAME[,NAME]…");
  app.add_option("--quantum-ms", wish.quantum_ms, "Longest time of one turn")
      ->check(CLI::Range(uint64_t{1}, kLongestQuantumMs));
  app.add_flag("--no-freeze", wish.whole, "A launch that runs is not interrupted");
  app.add_flag("--json", wish.json, "Raw numbers");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  auto policies = simtool::policy_names(wish.policies);
  if (!policies) return complain(policies.error(), kUsage);
  auto done = simulate(wish, *policies);
  return done ? 0 : complain(done.error(), kFailed);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "amalgam: sim: {}\n", error.what());
    return kFailed;
  }
}
