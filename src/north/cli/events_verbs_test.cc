// SPDX-License-Identifier: Apache-2.0
// `events`, `drain` and `undrain` against a daemon that answers as it is told.
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "north/cli/drain_text.h"
#include "north/cli/event_text.h"
#include "north/cli/verbs.h"
#include "tests/cli/fake_daemon.h"

namespace amalgam::cli {
namespace {

using protocol::DrainFate;
using protocol::DrainStep;
using protocol::EventKind;

struct EventsVerbs : testing::Test {
  struct Said {
    int status = 0;
    std::string out, err;
  };
  Said amalgam(std::vector<const char*> words) const {
    words.insert(words.begin(), "amalgam");
    words.insert(words.end(), {"--socket", daemon.path().c_str()});
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Said said;
    said.status = amalgam_main(static_cast<int>(words.size()), words.data());
    said.out = testing::internal::GetCapturedStdout();
    said.err = testing::internal::GetCapturedStderr();
    return said;
  }
  EventsVerbs() {
    daemon.events = {{.number = 3, .unix_ms = 1'700'000'000'000, .kind = EventKind::kStarted, .text = "amalgamd"},
                     {.number = 5,
                      .unix_ms = 1'700'000'001'000,
                      .kind = EventKind::kWorkerLost,
                      .uid = 4'000'000'001,
                      .session = 7,
                      .slice = 2,
                      .device = "opencl:0",
                      .text = "prog\x1b: signal 11"}};
  }
  static protocol::DrainEntry entry(uint64_t session, DrainFate fate, const char* reason = "") {
    return {.session = session, .program = "prog\x1b", .fate = fate, .to = "opencl:1", .reason = reason, .pause_us = 1500};
  }
  FakeDaemon daemon;
};

TEST_F(EventsVerbs, EventsAreListedPageByPage) {
  Said said = amalgam({"events"});
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_NE(said.out.find("started      -          amalgamd\n"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("worker-lost  opencl:0   session 7 (4000000001)  prog?: signal 11\n"), std::string::npos)
      << said.out;
  const auto json = nlohmann::json::parse(amalgam({"events", "--json"}).out);
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["kind"], "started");
  EXPECT_TRUE(json[0]["session"].is_null() && json[0]["uid"].is_null());
  EXPECT_EQ(json[1]["session"], 7);
  EXPECT_EQ(json[1]["unix_ms"], 1'700'000'001'000);
  EXPECT_EQ(nlohmann::json::parse(amalgam({"events", "--json", "--last", "1"}).out)[0]["number"], 5);
  EXPECT_EQ(amalgam({"events", "--json", "--last", "0"}).out, "[]\n");
}

TEST_F(EventsVerbs, FollowingEndsWithTheDaemon) {
  Said said = amalgam({"events", "--follow", "--json"});
  EXPECT_EQ(said.status, kFailed);
  EXPECT_NE(said.err.find("has gone away"), std::string::npos) << said.err;
  EXPECT_EQ(std::ranges::count(said.out, '\n'), 2) << "one event a line: " << said.out;
}

TEST_F(EventsVerbs, ADrainIsToldAsItGoes) {
  daemon.reports = {
      {.device = "opencl:0", .step = DrainStep::kChecking, .seen = 1, .entries = {entry(7, DrainFate::kWaiting)}},
      {.device = "opencl:0", .step = DrainStep::kMoving, .seen = 2, .entries = {entry(7, DrainFate::kFits)}},
      {.device = "opencl:0", .step = DrainStep::kDone, .seen = 3, .more = true, .entries = {entry(7, DrainFate::kMoved)}},
      {.device = "opencl:0", .step = DrainStep::kDone, .seen = 4, .entries = {entry(8, DrainFate::kEnded)}}};
  Said said = amalgam({"drain", "opencl:0", "--to", "opencl:1"});
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_EQ(said.out,
            "  session 7 (prog?, root, normal) can go to opencl:1\n"
            "opencl:0: nothing new opens there; its sessions move\n"
            "  session 7 (prog?, root, normal) has moved to opencl:1, stood still for 1.5 ms\n"
            "  session 8 (prog?, root, normal) has ended or left by itself\n"
            "opencl:0 is drained: 1 session moved\n");
  EXPECT_EQ(daemon.last_drain.to, "opencl:1");
  EXPECT_FALSE(daemon.last_drain.stay);
  const auto json = nlohmann::json::parse(amalgam({"drain", "opencl:0", "--json"}).out);
  EXPECT_EQ(json["result"], "done");
  EXPECT_EQ(json["sessions"][0]["fate"], "moved");
}

TEST_F(EventsVerbs, ARefusedDrainSaysWhoAndWhatToDo) {
  daemon.reports = {{.device = "opencl:0",
                     .step = DrainStep::kRefused,
                     .seen = 1,
                     .entries = {entry(7, DrainFate::kFits), entry(8, DrainFate::kCannot, "it has 2 devices")}}};
  Said said = amalgam({"drain", "opencl:0"});
  EXPECT_EQ(said.status, kFailed);
  EXPECT_NE(said.out.find("session 8 (prog?, root, normal) cannot move: it has 2 devices\n"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("nothing has changed: 1 session cannot move\n"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("amalgam drain opencl:0 --stay"), std::string::npos) << said.out;
}

TEST_F(EventsVerbs, WhoStaysIsAFailureUnlessItWasToStay) {
  daemon.reports = {
      {.device = "opencl:0", .step = DrainStep::kDone, .seen = 1, .entries = {entry(7, DrainFate::kStays, "it runs")}}};
  EXPECT_EQ(amalgam({"drain", "opencl:0"}).status, kFailed);
  Said said = amalgam({"drain", "opencl:0", "--stay"});
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_TRUE(daemon.last_drain.stay);
  EXPECT_NE(said.out.find("is draining: 0 sessions moved, 1 stay\n"), std::string::npos) << said.out;
}

TEST_F(EventsVerbs, UndrainSaysNothingOrWhyNot) {
  Said said = amalgam({"undrain", "opencl:0"});
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_EQ(said.out, "");
  EXPECT_EQ(daemon.last_undrained, "opencl:0");
  daemon.refusal = "device opencl:0 is neither drained nor cordoned";
  said = amalgam({"undrain", "opencl:0"});
  EXPECT_EQ(said.status, kFailed);
  EXPECT_EQ(said.err, "amalgam: " + daemon.refusal + "\n");
  EXPECT_EQ(amalgam({"drain"}).status, kUsage);
}

}  // namespace
}  // namespace amalgam::cli
