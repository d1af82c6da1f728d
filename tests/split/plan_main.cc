// SPDX-License-Identifier: Apache-2.0
// split_plan OPTIONS FILE…: prints the verdict on every kernel of each file, as the first CPU device would get it, and the
// processor time that the plan took, probes not counted. With AMALGAM_SPLIT_VARIANT=1 the variant is printed and built too.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>

#include "compare.h"

namespace {

using namespace amalgam;

/// Processor time of this process, whatever else the machine does.
double milliseconds_used() { return 1e3 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

const char* name_of(split::KernelPlan::How how) {
  switch (how) {
    case split::KernelPlan::How::kOffset: return "offset";
    case split::KernelPlan::How::kVariant: return "variant";
    case split::KernelPlan::How::kWhole: return "whole";
  }
  return "?";
}

void show(const split::SplitPlan& plan, const char* file, double milliseconds) {
  std::printf("%s\t%.1f ms\t%zu kernels\t%s\n", file, milliseconds, plan.kernels.size(), plan.whole_because.c_str());
  for (const split::KernelPlan& kernel : plan.kernels) {
    std::printf("  %-8s%s%s\t%s\t%s\n", name_of(kernel.how), kernel.depends_on_local ? "local " : "",
                kernel.across_devices ? "across" : "", kernel.name.c_str(), kernel.reason.c_str());
  }
}

void build_variant(const split_tests::Driver& driver, const split::SplitPlan& plan) {
  if (plan.variant_source.empty()) return;
  std::printf("%s\n", plan.variant_source.c_str());
  for (const split::KernelPlan& kernel : plan.kernels) {
    if (kernel.how == split::KernelPlan::How::kVariant) driver.build(plan.variant_source, plan.variant_options, kernel.name);
  }
}

int run(const std::string& options, int count, char** files) {
  const auto planner = split::Planner::open(AMALGAM_SPLIT_LIBRARY);
  if (!planner) throw split_tests::Refusal(planner.error().text());
  split_tests::Driver driver;
  const std::string rest = split::read_options(options).rest;
  split::DeviceTraits traits = driver.traits(rest);
  for (int i = 0; i < count; ++i) {
    std::ifstream stream(files[i]);
    const split::ProgramText program{{std::istreambuf_iterator<char>(stream), {}}, {}, options};
    double begin = milliseconds_used();
    auto plan = planner->plan(program, traits);
    if (plan && !plan->unknown_macros.empty()) {
      for (const split::Macro& macro : driver.traits(rest, plan->unknown_macros).macros) traits.macros.push_back(macro);
      begin = milliseconds_used();
      plan = planner->plan(program, traits);
    }
    if (!plan) throw split_tests::Refusal(plan.error().text());
    show(*plan, files[i], milliseconds_used() - begin);
    if (std::getenv("AMALGAM_SPLIT_VARIANT") != nullptr) build_variant(driver, *plan);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: split_plan OPTIONS FILE...\n");
    return 2;
  }
  try {
    return run(argv[1], argc - 2, argv + 2);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
