// SPDX-License-Identifier: Apache-2.0
#include "north/cli/terms_options.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace amalgam::cli {
namespace {

std::string complaint(const TermsOptions& options) {
  auto terms = read_terms(options);
  return terms ? "" : terms.error().message;
}

TEST(TermsOptions, AllAreRead) {
  auto terms = read_terms({"30%", "62.5%", "high", "p99=5ms", "2GiB"});
  ASSERT_TRUE(terms) << terms.error().message;
  EXPECT_EQ(terms->terms, (model::Terms{300'000, 625'000, model::Priority::kHigh, {990'000, 5'000'000}}));
  EXPECT_EQ(terms->memory_bytes, 2 * kGiB);
  EXPECT_EQ(terms->given, 31u);
}

TEST(TermsOptions, NotGivenAndNoneAreTwoThings) {
  EXPECT_EQ(read_terms({}).value(), model::TermsPatch{});
  auto none = read_terms({"none", "none", "", "none", "none"});
  ASSERT_TRUE(none);
  EXPECT_EQ(none->terms, model::Terms{});
  EXPECT_EQ(none->given, 31u - static_cast<uint32_t>(model::Term::kPriority));
}

TEST(TermsOptions, ErrorsNameTheOptionAndTheRemedy) {
  EXPECT_EQ(complaint({"130%"}), "--share 130%: between 1% and 100%, or none");
  EXPECT_EQ(complaint({"", "0%"}), "--cap 0%: between 1% and 100%, or none");
  EXPECT_EQ(complaint({"30"}), "--share 30: per cent, with its sign, such as 30% or 12.5%, or none");
  EXPECT_EQ(complaint({"", "", "urgent"}), "--priority urgent: one of realtime, high, normal, low, idle");
  EXPECT_EQ(complaint({"", "", "", "5ms"}),
            "--slo 5ms: a latency and of how many launches, p50 to p99.99, such as p99=5ms for 99 of 100, or none");
  EXPECT_NE(complaint({"", "", "", "", "lots"}).find("--memory lots: "), std::string::npos);
  EXPECT_EQ(complaint({"50%", "30%"}), "cap 30% is below share 50%; raise the cap, or lower the share");
  EXPECT_EQ(complaint({"50%", "none"}), "");
}

}  // namespace
}  // namespace amalgam::cli
