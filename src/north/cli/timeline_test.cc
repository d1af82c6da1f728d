// SPDX-License-Identifier: Apache-2.0
#include "north/cli/timeline.h"

#include <gtest/gtest.h>

namespace amalgam::cli {
namespace {

using nlohmann::json;

constexpr uint64_t kMs = 1'000'000, kStart = 1000 * kMs;

struct TimelineTest : testing::Test {
  TimelineTest() : timeline([this](std::string_view part) { text += part; }) { timeline.begin(kStart); }

  protocol::Explanation answer(uint64_t now_ns, uint64_t last, std::vector<protocol::DecisionEntry> decisions) const {
    protocol::Explanation answer;
    answer.device_id = "opencl:0";
    answer.now_ns = now_ns;
    answer.last_decision = last;
    answer.decisions = std::move(decisions);
    answer.holder = answer.decisions.empty() ? 0 : answer.decisions.back().slice;
    answer.slices = {{1, "urgent"}, {2, "training"}};
    answer.rules = {{"alone", "nobody else"}, {"fair", "the one behind"}};
    return answer;
  }
  json events() const { return json::parse(text)["traceEvents"]; }
  /// "held by: urgent 0+5 fair", in the file's order.
  std::vector<std::string> complete() {
    std::map<std::pair<int, int>, std::string> threads;
    std::vector<std::string> found;
    for (const json& event : events()) {
      auto word = [](const json& value) { return value.get<std::string>(); };
      auto number = [&](const char* key) { return event.at(key).get<int>(); };
      std::pair thread(number("pid"), number("tid"));
      if (event["name"] == "thread_name") threads[thread] = word(event["args"]["name"]);
      if (event["ph"] != "X") continue;
      found.push_back(threads.at(thread) + ": " + word(event["name"]) + " " + std::to_string(number("ts")) + "+" +
                      std::to_string(number("dur")) + " " + word(event["args"]["rule"]));
    }
    return found;
  }

  std::string text;
  Timeline timeline;
};

TEST_F(TimelineTest, ShowsWhoHeldTheDeviceAndWhoWaited) {
  // Decided before the beginning: shown from there on.
  timeline.add(0, answer(kStart, 40, {{.at_ns = kStart - 3 * kMs, .slice = 2, .rule = 0}}));
  EXPECT_EQ(timeline.last_decision(0), 40u);
  timeline.add(0, answer(kStart + 30 * kMs, 42,
                         {{.at_ns = kStart + 10 * kMs,
                           .slice = 1,
                           .rule = 1,
                           .previous = 2,
                           .previous_end_ns = kStart + 9 * kMs,
                           .passed_over = 3,
                           .passed = {2, protocol::kAnotherSlice, protocol::kAnotherSlice}},
                          {.at_ns = kStart + 20 * kMs, .slice = 2, .rule = 1, .previous_end_ns = kStart + 20 * kMs}}));
  timeline.end();
  EXPECT_EQ(timeline.last_decision(0), 42u);
  EXPECT_EQ(complete(), (std::vector<std::string>{
                            "held by: training 0+9000 alone",
                            "held by: urgent 10000+10000 fair",
                            "training waits: waits for urgent 10000+10000 fair",
                            "another slice waits: waits for urgent 10000+10000 fair",
                            "held by: training 20000+10000 fair",
                        }));
}

TEST_F(TimelineTest, WhoHasGivenTheDeviceUpIsNotShown) {
  auto free = answer(kStart, 3, {{.at_ns = kStart - kMs, .slice = 2}});
  free.holder = 0;
  timeline.add(0, free);
  timeline.add(0, answer(kStart + 20 * kMs, 4, {{.at_ns = kStart + 15 * kMs, .slice = 1, .previous = 2}}));
  timeline.end();
  EXPECT_EQ(complete(), (std::vector<std::string>{"held by: urgent 15000+5000 alone"}));
}

TEST_F(TimelineTest, CountersAreRates) {
  protocol::SessionEntry entry;
  entry.devices = {"opencl:0"};
  entry.commands = 100;
  entry.device_time_ns = {50 * kMs};
  timeline.sample(kStart, entry);
  entry.commands = 150;
  entry.device_time_ns = {250 * kMs};
  timeline.sample(kStart + 500 * kMs, entry);
  timeline.end();
  std::vector<json> counters;
  for (const json& event : events())
    if (event["ph"] == "C") counters.push_back(event);
  ASSERT_EQ(counters.size(), 2u);
  EXPECT_EQ(counters[0]["args"]["commands"], 100);
  EXPECT_EQ(counters[0]["ts"], 500'000);
  EXPECT_EQ(counters[1]["args"]["opencl:0"], 400);
}

TEST_F(TimelineTest, WithoutAnyAnswerTheFileIsStillWhole) {
  auto free = answer(kStart, 1, {{.at_ns = kStart, .slice = 1}});
  free.ungoverned = "it is opening";
  timeline.add(0, free);
  timeline.end();
  EXPECT_TRUE(events().empty());
  EXPECT_EQ(timeline.last_decision(0), 0u);
}

TEST_F(TimelineTest, WhatWasMissedIsCounted) {
  timeline.add(0, answer(kStart, 5, {}));
  auto late = answer(kStart + kMs, 9, {{.at_ns = kStart + kMs, .slice = 1}});
  late.missed = 3;
  timeline.add(0, late);
  EXPECT_EQ(timeline.missed(), 3u);
}

}  // namespace
}  // namespace amalgam::cli
