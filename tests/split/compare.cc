// SPDX-License-Identifier: Apache-2.0
#include "compare.h"

namespace amalgam::split_tests {
namespace {

using split::KernelPlan;
using split::SplitPlan;

SplitPlan ask(Driver& driver, const split::Planner& planner, const split::ProgramText& program) {
  // Macros of the driver depend on what is left of the options without those of the program.
  const std::string rest = split::read_options(program.options).rest;
  auto plan = planner.plan(program, driver.traits(rest));
  if (plan && !plan->unknown_macros.empty()) plan = planner.plan(program, driver.traits(rest, plan->unknown_macros));
  if (!plan) throw Refusal(plan.error().text());
  return std::move(*plan);
}

std::string first_difference(const Words& whole, const Words& pieces) {
  for (size_t i = 0; i < whole.size(); ++i) {
    if (whole[i] != pieces[i]) {
      return "word " + std::to_string(i) + ": whole " + std::to_string(whole[i]) + ", pieces " + std::to_string(pieces[i]);
    }
  }
  return {};
}

}  // namespace

Outcome compare(Driver& driver, const split::Planner& planner, const std::string& source, const std::string& options,
                std::span<const split::Range> ranges) {
  const SplitPlan plan = ask(driver, planner, {source, {}, options});
  Outcome outcome{plan.of("k"), {}};
  const uint32_t arguments = outcome.plan.arguments;
  const Kernel own = driver.build(source, options, "k");
  if (outcome.plan.how == KernelPlan::How::kWhole) return outcome;
  const bool is_variant = outcome.plan.how == KernelPlan::How::kVariant;
  const Kernel variant =
      is_variant ? driver.build(plan.variant_source, plan.variant_options, "k") : driver.build(source, options, "k");
  for (size_t i = 0; i < ranges.size(); ++i) {
    const Words whole = driver.run_whole(own, arguments, ranges[i]);
    for (const uint64_t groups : {1, 3}) {
      const std::string difference =
          first_difference(whole, driver.run_pieces(variant, arguments, ranges[i], groups, is_variant));
      if (difference.empty()) continue;
      outcome.difference = "range " + std::to_string(i) + " in pieces of " + std::to_string(groups) + ": " + difference;
      return outcome;
    }
  }
  return outcome;
}

}  // namespace amalgam::split_tests
