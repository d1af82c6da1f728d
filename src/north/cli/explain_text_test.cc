// SPDX-License-Identifier: Apache-2.0
#include "north/cli/explain_text.h"

#include <gtest/gtest.h>

namespace amalgam::cli {
namespace {

constexpr uint64_t kMs = 1'000'000;

/// Two slices took turns; the one asked about is number 1.
protocol::Explanation answer() {
  protocol::Explanation answer;
  answer.session = 7;
  answer.slice = 1;
  answer.slice_name = "urgent";
  answer.device_id = "opencl:0";
  answer.policy = "fair";
  answer.now_ns = 1000 * kMs;
  answer.holder = 1;
  answer.ran_ns = 50 * kMs;
  answer.waited_ns = 25 * kMs;
  answer.throttled_ns = 15 * kMs;
  answer.idle_ns = 10 * kMs;
  answer.quanta = 5;
  answer.waits = {{2, 1, 20 * kMs}, {0, 0, 5 * kMs}};
  answer.last_decision = 30;
  answer.decisions = {{.at_ns = 980 * kMs, .slice = 2, .rule = 1, .passed_over = 6, .passed = {1, protocol::kAnotherSlice}},
                      {.at_ns = 991 * kMs,
                       .slice = 1,
                       .rule = 0,
                       .previous = 2,
                       .previous_end_ns = 990 * kMs,
                       .previous_ended = "preempted"}};
  answer.slices = {{1, "urgent"}, {2, "training"}};
  answer.rules = {{"alone", "nobody else"}, {"fair", "the one behind"}};
  return answer;
}

std::string joined(const protocol::Explanation& of) {
  std::string text;
  for (const std::string& line : explain_lines(of)) text += line + "\n";
  return text;
}

TEST(ExplainText, SaysWhereTheTimeWentAndWhatWasDecided) {
  EXPECT_EQ(
      joined(answer()),
      "on opencl:0, policy fair, in the 100 ms since the slice came:\n"
      "  ran                        50 ms   50.0%\n"
      "  waited                     25 ms   25.0%\n"
      "    for training             20 ms   20.0%  fair\n"
      "    for nobody                5 ms    5.0%  alone\n"
      "  throttled                  15 ms   15.0%\n"
      "  idle                       10 ms   10.0%\n"
      "  sum                       100 ms  100.0%\n"
      "  5 quanta, 0 times preempted; 0 of its share were lent while it was idle\n"
      "last decisions:\n"
      "      20 ms ago: training held the device for 10 ms, until a more urgent slice preempted it (fair); passed over: "
      "urgent, another slice and 4 more\n"
      "       9 ms ago: urgent holds the device since then (alone)\n"
      "rules:\n"
      "  alone        nobody else\n"
      "  fair         the one behind\n");
}

TEST(ExplainText, ALastDecisionThatHoldsNoLongerSaysSo) {
  auto over = answer();
  over.holder = 0;
  EXPECT_NE(joined(over).find("urgent got the device, and has given it up (alone)"), std::string::npos) << joined(over);
  EXPECT_TRUE(explain_json(over)["decisions"][1]["held_ns"].is_null());
  over.vacated_ns = 994 * kMs;
  over.vacated_why = "idle";
  EXPECT_NE(joined(over).find("urgent held the device for 3 ms, until it had no more work (alone)"), std::string::npos)
      << joined(over);
  EXPECT_EQ(explain_json(over)["decisions"][1]["held_ns"], 3 * kMs);
  EXPECT_EQ(explain_json(over)["decisions"][1]["ended"], "idle");
  EXPECT_EQ(explain_json(over)["decisions"][1]["holds"], false);
}

TEST(ExplainText, AnEndedSessionSaysWhenAndWhy) {
  auto gone = answer();
  EXPECT_EQ(end_line(gone), "");
  EXPECT_FALSE(explain_json(gone)["ended"]);
  gone.ended = true;
  gone.ended_ago_ms = 5000;
  EXPECT_EQ(end_line(gone), "ended 5 s ago: its program has ended");
  EXPECT_TRUE(explain_json(gone)["ended_why"].is_null());
  gone.ended_why = "its worker ended: signal 11";
  EXPECT_EQ(end_line(gone), "ended 5 s ago: its worker ended: signal 11");
  EXPECT_EQ(explain_json(gone)["ended_why"], gone.ended_why);
  EXPECT_EQ(explain_json(gone)["ended_ago_ms"], 5000);
  const std::string text = joined(gone);
  EXPECT_NE(text.find("in the 100 ms from when the slice came to the session's end:"), std::string::npos) << text;
  EXPECT_NE(text.find("9 ms before its end: urgent held the device for 9 ms, up to the end (alone)"), std::string::npos)
      << text;
}

TEST(ExplainText, NamesThatAreNotUniqueCarryTheirNumber) {
  auto same = answer();
  same.slices[1].name = "urgent";
  EXPECT_EQ(slice_label(same, 1), "urgent (1)");
  EXPECT_EQ(slice_label(same, 2), "urgent (2)");
  EXPECT_EQ(slice_label(same, 3), "slice 3");
  same.slices[1].name = "\x1b[2J";
  EXPECT_EQ(slice_label(same, 2), "?[2J");
  EXPECT_EQ(rule_label(same, 200), "rule 200");
}

TEST(ExplainText, JsonHasRawNumbers) {
  auto json = explain_json(answer());
  EXPECT_EQ(json["wall_ns"], 100 * kMs);
  EXPECT_EQ(json["waits"][0]["name"], "training");
  EXPECT_EQ(json["waits"][0]["slice"], 2);
  EXPECT_EQ(json["waits"][0]["text"], "the one behind");
  EXPECT_TRUE(json["waits"][1]["slice"].is_null());
  EXPECT_EQ(json["decisions"][0]["number"], 29);
  EXPECT_EQ(json["decisions"][0]["held_ns"], 10 * kMs);
  EXPECT_EQ(json["decisions"][0]["ended"], "preempted");
  EXPECT_EQ(json["decisions"][0]["passed"][1]["name"], "another slice");
  EXPECT_EQ(json["decisions"][1]["holds"], true);
  EXPECT_TRUE(json["decisions"][1]["ended"].is_null());
}

TEST(ExplainText, WhatIsNotGovernedSaysWhy) {
  auto free = answer();
  free.ungoverned = "the arbiter refused it";
  EXPECT_EQ(joined(free), "on opencl:0: the arbiter refused it\n");
  EXPECT_EQ(explain_json(free)["why"], "the arbiter refused it");
  EXPECT_FALSE(explain_json(free).contains("ran_ns"));
}

}  // namespace
}  // namespace amalgam::cli
