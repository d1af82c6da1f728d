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
  /// "held by: urgent 0+5 fair", in the order of the ends. The file is in the order of time.
  std::vector<std::string> spans() {
    std::map<std::pair<int, int>, std::string> threads;
    std::map<std::pair<int, int>, json> begun;
    std::vector<std::string> found;
    double last = 0;
    for (const json& event : events()) {
      std::pair thread(event.at("pid").get<int>(), event.value("tid", 0));
      if (event.contains("ts")) {
        EXPECT_GE(event["ts"].get<double>(), last);
        last = event["ts"].get<double>();
      }
      if (event.value("name", "") == "thread_name") threads[thread] = event["args"]["name"].get<std::string>();
      if (event["ph"] == "B") begun[thread] = event;
      if (event["ph"] != "E") continue;
      const json begin = begun.at(thread);
      auto begin_us = begin["ts"].get<int>(), end_us = event["ts"].get<int>();
      found.push_back(threads.at(thread) + ": " + begin["name"].get<std::string>() + " " + std::to_string(begin_us) + "+" +
                      std::to_string(end_us - begin_us) + " " + begin["args"]["rule"].get<std::string>());
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
  EXPECT_EQ(spans(), (std::vector<std::string>{
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
  EXPECT_EQ(spans(), (std::vector<std::string>{"held by: urgent 15000+5000 alone"}));
}

TEST_F(TimelineTest, AHoldEndsWhereItWasGivenUpAlsoIfNobodyComes) {
  timeline.add(0, answer(kStart, 3, {{.at_ns = kStart, .slice = 2}}));
  timeline.settle(kStart);
  auto idle = answer(kStart + 20 * kMs, 3, {});
  idle.vacated_ns = kStart + 12 * kMs;
  timeline.add(0, idle);
  timeline.settle(kStart + 20 * kMs);
  EXPECT_NE(text.find("\"E\""), std::string::npos) << "it is written before the end";
  timeline.end();
  EXPECT_EQ(spans(), (std::vector<std::string>{"held by: training 0+12000 alone"}));
}

TEST_F(TimelineTest, SeveralDevicesAreInTheOrderOfTime) {
  // The second device is asked later, and answers with what is older than the first one's last.
  for (uint32_t device : {0u, 1u}) timeline.add(device, answer(kStart, 1, {{.at_ns = kStart, .slice = 2}}));
  timeline.settle(kStart);
  timeline.add(
      0, answer(kStart + 30 * kMs, 2, {{.at_ns = kStart + 25 * kMs, .slice = 1, .previous_end_ns = kStart + 24 * kMs}}));
  timeline.add(1,
               answer(kStart + 31 * kMs, 2, {{.at_ns = kStart + 5 * kMs, .slice = 1, .previous_end_ns = kStart + 5 * kMs}}));
  timeline.settle(kStart + 29 * kMs);
  EXPECT_EQ(timeline.events(), 2u * 2 + 2 * 3) << "names, and begin, end, begin";
  // Nothing that is written can be followed by something earlier: a late one begins where the written ones end.
  timeline.add(
      1, answer(kStart + 40 * kMs, 3, {{.at_ns = kStart + 28 * kMs, .slice = 2, .previous_end_ns = kStart + 28 * kMs}}));
  timeline.end();
  EXPECT_EQ(spans(), (std::vector<std::string>{
                         "held by: training 0+5000 alone",
                         "held by: training 0+24000 alone",
                         "held by: urgent 5000+24000 alone",
                         "held by: urgent 25000+5000 alone",
                         "held by: training 29000+11000 alone",
                     }));
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
