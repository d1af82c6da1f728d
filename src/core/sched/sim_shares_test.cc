// SPDX-License-Identifier: Apache-2.0
// Shares and caps of greedy tenants, for every mix of kernels: at most 1 point over 10 s, at most 5 in any second.
#include <cstdio>

#include "core/sched/sim_fixture.h"

namespace amalgam::core::sim {
namespace {

struct Split {
  std::vector<uint32_t> percents;
};
const std::vector<std::vector<uint32_t>> kSplits = {{10, 90}, {25, 75}, {30, 70}, {50, 50}, {20, 30, 50}};

struct Kernels {
  const char* name;
  std::vector<Workload> (*make)(size_t tenants);
};

std::vector<Workload> all(size_t tenants, const Workload& workload) { return std::vector<Workload>(tenants, workload); }

const Kernels kKernels[] = {
    {"50 us", [](size_t n) { return all(n, greedy(50 * kUs)); }},
    {"1 ms", [](size_t n) { return all(n, greedy(kMs)); }},
    {"20 ms", [](size_t n) { return all(n, greedy(20 * kMs)); }},
    {"smallest share has the longest",
     [](size_t n) {
       auto list = all(n, greedy(50 * kUs));
       list[0] = greedy(20 * kMs);
       return list;
     }},
    {"largest share has the longest",
     [](size_t n) {
       auto list = all(n, greedy(50 * kUs));
       list.back() = greedy(20 * kMs);
       return list;
     }},
    {"mixed",
     [](size_t n) {
       std::vector<Workload> list;
       for (size_t i = 0; i < n; ++i) list.push_back(greedy_mixed(i + 1));
       return list;
     }},
    {"gaps of 5 to 50 us",
     [](size_t n) {
       std::vector<Workload> list;
       for (size_t i = 0; i < n; ++i) list.push_back(with_gaps(i + 1, i % 2 == 0 ? 50 * kUs : kMs, 5 * kUs, 50 * kUs));
       return list;
     }},
};

struct Errors {
  double long_run = 0, second = 0;
};

Errors measure(const VirtualDevice::Options& options, const std::vector<uint32_t>& percents, std::vector<Workload> workloads,
               uint64_t for_ns = 20 * kSecond) {
  VirtualDevice device(options);
  std::vector<SliceId> slices;
  std::vector<double> promised;
  for (size_t i = 0; i < percents.size(); ++i) {
    EXPECT_TRUE(device.add(i + 1, "tenant", share(percents[i]), workloads[i]));
    slices.push_back(i + 1);
    promised.push_back(percents[i] / 100.0);
  }
  Samples samples = sample(device, slices, for_ns);
  for (SliceId slice : slices) expect_consistent(device, slice);
  return {samples.worst_error(10 * kSecond, promised), samples.worst_error(kSecond, promised)};
}

void expect_all_splits(const VirtualDevice::Options& options, const char* device) {
  for (const Kernels& kernels : kKernels) {
    for (const auto& percents : kSplits) {
      Errors errors = measure(options, percents, kernels.make(percents.size()));
      std::string what = std::string(device) + ", " + kernels.name;
      for (uint32_t percent : percents) what += " " + std::to_string(percent);
      std::printf("%-60s 10 s: %.3f  1 s: %.3f\n", what.c_str(), errors.long_run, errors.second);
      EXPECT_LE(errors.long_run, 1.0) << what;
      EXPECT_LE(errors.second, 5.0) << what;
    }
  }
}

TEST(SimShares, FreezingDevice) { expect_all_splits(freezing(), "freezing"); }
TEST(SimShares, DrainingDevice) { expect_all_splits(draining(), "draining"); }

}  // namespace
}  // namespace amalgam::core::sim
