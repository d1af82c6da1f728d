// SPDX-License-Identifier: Apache-2.0
// split_coexist planner-first|driver-first: the front end and a driver with a compiler of its own in one process, in either
// order, each working before, between and after the other.
#include <cstdio>
#include <string>

#include "compare.h"

namespace {

using namespace amalgam;

constexpr char kSource[] = "kernel void k(global ulong* out) { out[get_global_id(0)] = get_group_id(0); }\n";

bool plans(const split::Planner& planner) {
  const auto plan = planner.plan({kSource, {}, ""}, {});
  return plan && plan->of("k").how == split::KernelPlan::How::kVariant;
}

bool compiles(const split_tests::Driver& driver) {
  const split::Range range{1, {}, {16, 1, 1}, {4, 1, 1}};
  const split_tests::Words words = driver.run_whole(driver.build(kSource, "", "k"), 1, range);
  return words[15] == 3;
}

bool works(const split::Planner& planner, split_tests::Driver& driver) {
  for (int round = 0; round < 3; ++round) {
    if (!plans(planner) || !compiles(driver)) return false;
    const split::Range range{2, {1, 2, 0}, {16, 8, 1}, {4, 2, 1}};
    if (!split_tests::compare(driver, planner, kSource, "", std::span(&range, 1)).difference.empty()) return false;
  }
  return true;
}

bool planner_first() {
  const auto planner = split::Planner::open(AMALGAM_SPLIT_LIBRARY);
  if (!planner || !plans(*planner)) return false;
  split_tests::Driver driver;
  return works(*planner, driver);
}

bool driver_first() {
  split_tests::Driver driver;
  if (!compiles(driver)) return false;
  const auto planner = split::Planner::open(AMALGAM_SPLIT_LIBRARY);
  return planner && works(*planner, driver);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string order = argc == 2 ? argv[1] : "";
  if (order != "planner-first" && order != "driver-first") {
    std::fprintf(stderr, "usage: split_coexist planner-first|driver-first\n");
    return 2;
  }
  try {
    const bool is_good = order == "planner-first" ? planner_first() : driver_first();
    std::printf("%s: %s\n", order.c_str(), is_good ? "ok" : "failed");
    return is_good ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
