// SPDX-License-Identifier: Apache-2.0
#include "model/terms.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace amalgam::model {
namespace {

std::string complaint(const Terms& terms) {
  auto checked = check(terms);
  return checked ? "" : checked.error().message;
}

TEST(Terms, NothingAskedForIsGood) { EXPECT_EQ(complaint({}), ""); }

TEST(Terms, EveryWrongOneIsNamed) {
  EXPECT_EQ(complaint({1'300'000}), "share 130%: between 1% and 100%");
  EXPECT_EQ(complaint({9'999}), "share 0.9999%: between 1% and 100%");
  EXPECT_EQ(complaint({0, UINT32_MAX}), "cap 429496.7295%: between 1% and 100%");
  EXPECT_EQ(complaint({300'000, 100'000}), "cap 10% is below share 30%; raise the cap, or lower the share");
  EXPECT_EQ(complaint({0, 0, static_cast<Priority>(5)}), "priority 5 is none");
  EXPECT_EQ(complaint({0, 0, Priority::kLow, {990'000, kMinSloNs - 1}}), "slo p99=49.999us: between 50us and 60s");
  EXPECT_NE(complaint({0, 0, Priority::kLow, {990'000, UINT64_MAX}}), "");
  EXPECT_NE(complaint({.slo = {1'000'000, kMinSloNs}}), "");
  EXPECT_NE(complaint({.slo = {499'999, kMinSloNs}}), "");
  EXPECT_EQ(complaint({.slo = {999'900, kMinSloNs}}), "");
  EXPECT_EQ(complaint({.weight = 0}), "weight 0: between 1 and 10000");
  EXPECT_NE(complaint({.weight = 10'001}), "");
  EXPECT_EQ(
      complaint({.priority = Priority::kIdle, .slo = {990'000, 5'000'000}}),
      "slo p99=5ms with priority idle: who goes before nobody cannot keep a latency; raise the priority, or give no slo");
  for (Priority priority : kPriorities)
    EXPECT_EQ(complaint({kMinSharePpm, kMinSharePpm, priority}), "") << priority_name(priority);
  EXPECT_EQ(complaint({kWholePpm, kWholePpm, Priority::kRealtime, {990'000, kMaxSloNs}}), "");
}

TEST(Terms, NamesAndPrioritiesAreOneToOne) {
  for (Priority priority : kPriorities) EXPECT_EQ(parse_priority(priority_name(priority)).value(), priority);
  for (const char* text : {"", "High", "urgent", "0"}) {
    auto parsed = parse_priority(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().message, "one of realtime, high, normal, low, idle");
  }
  EXPECT_EQ(priority_name(static_cast<Priority>(200)), "unknown");
}

TEST(Terms, PartsAreReadAndWritten) {
  EXPECT_EQ(parse_part("30%").value(), 300'000u);
  EXPECT_EQ(parse_part("none").value(), 0u);
  EXPECT_EQ(format_part(0), "none");
  EXPECT_EQ(format_part(125'000), "12.5%");
  for (const char* text : {"130%", "0%", "0.01%"})
    EXPECT_EQ(parse_part(text).error().message, "between 1% and 100%, or none") << text;
  for (const char* text : {"", "0.3", "None"}) EXPECT_NE(parse_part(text).error().message.find("12.5%"), std::string::npos);
}

TEST(Terms, LatencyGoals) {
  EXPECT_EQ(parse_slo("p99=5ms").value(), (Slo{990'000, 5'000'000}));
  EXPECT_EQ(parse_slo("p99.9=800us").value(), (Slo{999'000, 800'000}));
  EXPECT_EQ(parse_slo("p50=1s").value(), (Slo{500'000, 1'000'000'000}));
  EXPECT_EQ(parse_slo("none").value().bound_ns, 0u);
  for (const char* text : {"p99=5ms", "p99=1.5ms", "p99.9=800us", "p99=2s", "none"})
    EXPECT_EQ(format_slo(parse_slo(text).value()), text);
  for (const char* text : {"p99=1us", "p99=0s", "p99=61s"})
    EXPECT_EQ(parse_slo(text).error().message, "between 50us and 60s") << text;
  for (const char* text : {"", "5ms", "p=5ms", "p101=5ms", "p99=", "p99=5", "p99=ms", "p99=-5ms", "p99=5min", "p99=5 ms"})
    EXPECT_NE(parse_slo(text).error().message.find("p99=5ms"), std::string::npos) << text;
  for (const char* text : {"p100=5ms", "p10=5ms"}) EXPECT_FALSE(parse_slo(text)) << text;
}

TEST(TermsPatch, FillsOnlyWhatIsNotGiven) {
  TermsPatch user, group;
  user.set_share(300'000);
  user.set_memory(0);
  group.set_share(100'000);
  group.set_cap(500'000);
  group.set_priority(Priority::kLow);
  group.set_memory(kGiB);
  user.fill_from(group);
  Terms terms;
  terms.slo.bound_ns = 77'000;
  uint64_t quota = 5;
  user.apply(terms, quota);
  EXPECT_EQ(terms, (Terms{300'000, 500'000, Priority::kLow, {990'000, 77'000}}));
  EXPECT_EQ(quota, 0u) << "\"none\" was given, so the class does not fill it";
  EXPECT_FALSE(user.gives(Term::kSlo));
}

TEST(TermsPatch, AnEmptyOneChangesNothing) {
  Terms terms{1, 2, Priority::kHigh, {990'000, 3}};
  uint64_t quota = 4;
  TermsPatch{}.apply(terms, quota);
  EXPECT_EQ(terms, (Terms{1, 2, Priority::kHigh, {990'000, 3}}));
  EXPECT_EQ(quota, 4u);
}

}  // namespace
}  // namespace amalgam::model
