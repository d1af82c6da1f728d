// SPDX-License-Identifier: Apache-2.0
// Random kernels, whole against pieces, bit for bit. AMALGAM_SPLIT_SEEDS=FIRST:COUNT chooses others than the usual ones; a
// failure names its seed.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "compare.h"
#include "generator.h"

namespace amalgam::split_tests {
namespace {

TEST(RandomSplitTest, PiecesGiveTheSameBytesAsTheWhole) {
  unsigned long long first = 1, count = 40;
  if (const char* seeds = std::getenv("AMALGAM_SPLIT_SEEDS")) {
    ASSERT_EQ(std::sscanf(seeds, "%llu:%llu", &first, &count), 2) << "AMALGAM_SPLIT_SEEDS is FIRST:COUNT";
  }
  const auto planner = split::Planner::open(AMALGAM_SPLIT_LIBRARY);
  ASSERT_TRUE(planner) << planner.error().text();
  Driver driver;
  unsigned long long variants = 0;
  for (unsigned long long seed = first; seed < first + count; ++seed) {
    const Program program = generate(seed);
    try {
      const Outcome outcome = compare(driver, *planner, program.source, program.options, std::span(&program.range, 1));
      ASSERT_NE(outcome.plan.how, split::KernelPlan::How::kWhole) << "seed " << seed << ": " << outcome.plan.reason << "\n"
                                                                  << program.source;
      ASSERT_EQ(outcome.difference, "") << "seed " << seed << "\n" << program.options << "\n" << program.source;
      variants += outcome.plan.how == split::KernelPlan::How::kVariant ? 1 : 0;
    } catch (const Refusal& refusal) {
      FAIL() << "seed " << seed << ": " << refusal.what() << "\n" << program.source;
    }
  }
  EXPECT_GT(variants, 0u);
}

}  // namespace
}  // namespace amalgam::split_tests
