// SPDX-License-Identifier: Apache-2.0
#include "core/sched/replay.h"

#include <gtest/gtest.h>

namespace amalgam::core {
namespace {

constexpr uint64_t kMs = 1'000'000;

std::string terms_line(uint64_t at_ns, const std::string& slice, const std::string& rest) {
  return R"({"at_ns": )" + std::to_string(at_ns) + R"(, "slice": ")" + slice + "\"" + rest + "}\n";
}
std::string launch_line(uint64_t at_ns, const std::string& slice, uint64_t length_ns) {
  return terms_line(at_ns, slice, R"(, "length_ns": )" + std::to_string(length_ns));
}

TEST(Replay, TracesAreRead) {
  auto trace = parse_trace(terms_line(0, "a", R"(, "share": "30%", "priority": "high", "slo": "p99=5ms")") + "\n" +
                           launch_line(5, "a", 100) + terms_line(9, "a", R"(, "cap": "50%", "weight": 7)"));
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_EQ(trace->names, std::vector<std::string>{"a"});
  ASSERT_EQ(trace->changes.size(), 2u);
  EXPECT_EQ(trace->changes[1].terms.share_ppm, 300'000u) << "what a line does not name stays";
  EXPECT_EQ(trace->changes[1].terms.cap_ppm, 500'000u);
  EXPECT_EQ(trace->changes[1].terms.weight, 7u);
  EXPECT_EQ(trace->changes[1].terms.priority, Priority::kHigh);
  EXPECT_EQ(trace->changes[1].terms.slo.bound_ns, 5 * kMs);
  ASSERT_EQ(trace->launches[0].size(), 1u);
  EXPECT_EQ(trace->launches[0][0].arrival_ns, 5u);
  EXPECT_EQ(trace->end_ns, 9u);
}

TEST(Replay, WrongLinesAreNamed) {
  const std::string good = terms_line(10, "a", "");
  for (const std::string& bad :
       {std::string("nonsense"), std::string("[1]"), std::string(R"({"at_ns": 20})"), launch_line(20, "b", 5),
        launch_line(20, "a", 0), launch_line(3, "a", 5), terms_line(20, "a", R"(, "share": 30)"),
        terms_line(20, "a", R"(, "share": "300%")"), terms_line(20, "a", R"(, "weight": 0)"),
        terms_line(20, "a", R"(, "length_ns": -4)"), std::string(R"({"at_ns": "x", "slice": "a"})")}) {
    auto trace = parse_trace(good + bad);
    ASSERT_FALSE(trace) << bad;
    EXPECT_EQ(trace.error().code, Code::kInvalidArgument);
    EXPECT_TRUE(trace.error().message.starts_with("line 2: ")) << trace.error().message;
  }
}

TEST(Replay, ASlipInAKeyLosesNothingSilently) {
  const std::string good = terms_line(0, "a", "") + "\n";
  auto slip = parse_trace(good + terms_line(20, "a", R"(, "lenght_ns": 5)"));
  ASSERT_FALSE(slip);
  EXPECT_EQ(slip.error().message,
            "line 3: unknown key \"lenght_ns\": did you mean \"length_ns\"? a launch has at_ns, slice and length_ns; a line "
            "of terms has at_ns, slice, share, cap, priority, slo and weight");
  auto strange = parse_trace(good + terms_line(20, "a", R"(, "colour": "red")"));
  ASSERT_FALSE(strange);
  EXPECT_TRUE(strange.error().message.starts_with("line 3: unknown key \"colour\": a launch has "))
      << strange.error().text();
  auto both = parse_trace(good + terms_line(20, "a", R"(, "length_ns": 5, "share": "10%")"));
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().message, "line 3: a launch has no \"share\": give terms a line of their own");
}

/// A batch of 6 ms kernels, always one waiting, and an urgent kernel of 300 us every 10 ms.
Trace urgent_beside_batch() {
  std::string text = terms_line(0, "batch", R"(, "share": "50%")") + terms_line(0, "urgent", R"(, "priority": "high")");
  for (uint64_t i = 0; i < 200; ++i)
    text += launch_line(i * 10 * kMs, "batch", 9 * kMs) + launch_line(i * 10 * kMs + 3 * kMs, "urgent", 300'000);
  return parse_trace(text).value();
}

TEST(Replay, PoliciesAreComparedOnOneTrace) {
  Trace trace = urgent_beside_batch();
  VirtualDevice::Options freezing{.arbiter = {.freezable = true}};
  for (const Policy& policy : policies()) {
    auto report = replay(trace, policy.name, freezing);
    ASSERT_TRUE(report) << report.error().text();
    ASSERT_EQ(report->rows.size(), 2u);
    EXPECT_EQ(report->policy, policy.name);
    for (const ReplayRow& row : report->rows) EXPECT_EQ(row.completed, 200u);
    EXPECT_EQ(report->rows[1].name, "urgent");
    EXPECT_LE(report->rows[1].wait_p99_ns, 100'000u);
    EXPECT_GE(report->rows[0].preemptions, 190u);
    EXPECT_GE(report->busy, 0.92);
    double got = report->rows[0].got + report->rows[1].got;
    EXPECT_GE(got, report->busy);
    EXPECT_LE(got, 1.0);
    EXPECT_EQ(report->rows[0].asked, 0.5);
  }
  auto whole = replay(trace, "fair", {});
  ASSERT_TRUE(whole);
  EXPECT_GE(whole->rows[1].wait_p99_ns, 5 * kMs) << "where nothing can be frozen it waits for the kernel";
}

TEST(Replay, CapsThrottleAndTermsChange) {
  std::string text = terms_line(0, "a", R"(, "cap": "20%")");
  for (uint64_t i = 0; i < 100; ++i) text += launch_line(i * kMs, "a", kMs);
  auto report = replay(parse_trace(text).value(), "fair", {});
  ASSERT_TRUE(report);
  EXPECT_GE(report->end_ns, 400 * kMs);
  EXPECT_GE(report->rows[0].throttled_ns, 300 * kMs);
  EXPECT_NEAR(report->rows[0].got, 0.2, 0.03);
  auto lifted = replay(parse_trace(text + terms_line(100 * kMs, "a", R"(, "cap": "100%")")).value(), "fair", {});
  ASSERT_TRUE(lifted);
  EXPECT_LE(lifted->end_ns, 200 * kMs);
}

TEST(Replay, WhatAdmissionRefusesEndsTheReplay) {
  Trace trace = parse_trace(terms_line(0, "a", R"(, "share": "60%")") + terms_line(5, "b", R"(, "share": "50%")")).value();
  auto report = replay(trace, "fair", {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kLimit);
  EXPECT_TRUE(report.error().message.starts_with("line 2: ")) << report.error().message;
  EXPECT_EQ(replay(trace, "magic", {}).error().code, Code::kNotFound);
}

TEST(Replay, AnEmptyTraceIsAReport) {
  auto report = replay(parse_trace("").value(), "fair", {});
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->rows.empty());
}

}  // namespace
}  // namespace amalgam::core
