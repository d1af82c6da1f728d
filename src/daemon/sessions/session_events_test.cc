// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/session_events.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

namespace amalgam::daemon {
namespace {

using protocol::EventKind;
using State = SessionRecord::State;

struct SessionEventsTest : testing::Test {
  SessionEventsTest() {
    char name[] = "/tmp/amalgam-sessions-XXXXXX";
    folder = ::mkdtemp(name);
    loop = std::move(EventLoop::create().value());
    store = std::move(Store::open(folder / "state.sqlite").value());
    events = std::make_unique<EventLog>(log, folder / "events");
    model::Device card;
    card.backend = "opencl";
    card.kind = model::DeviceKind::kGpu;
    devices.update({card});
    common.emplace(Common{*loop, log, config, ledger, devices, *store, *events});
    keeper = std::make_unique<DeviceKeeper>(*common, [](const std::string&) { return false; });
  }
  ~SessionEventsTest() override {
    keeper.reset();
    store.reset();
    std::filesystem::remove_all(folder);
  }
  /// A session ends so; what is told of that, and whether it is a fault of its device.
  std::string end(EventKind kind, const std::string& why, int number = 0, bool client_gone = false,
                  State state = State::kLive) {
    SessionRecord session;
    session.id = 7;
    session.slice = 3;
    session.uid = 4001;
    session.program = "prog";
    session.devices = {"opencl:0"};
    session.state = state;
    session.client_gone = client_gone;
    session.end_signal = number;
    if (!why.empty()) session.blame(why, kind);
    const uint64_t before = events->ring().last(), faults = keeper->faults("opencl:0");
    note_end(session, *common, *keeper);
    std::string told;
    for (auto at = events->ring().after(before); at != events->ring().end(); ++at) {
      EXPECT_EQ(at->second.uid, 4001u);
      EXPECT_EQ(at->second.device, "opencl:0");
      told += std::string(event_name(at->second.kind)) + ": " + at->second.text;
    }
    return told + (keeper->faults("opencl:0") != faults ? ", a fault" : "");
  }
  std::filesystem::path folder;
  std::unique_ptr<EventLoop> loop;
  Logger log;
  Config config;
  core::Ledger ledger;
  DeviceTable devices;
  std::unique_ptr<Store> store;
  std::unique_ptr<EventLog> events;
  std::optional<Common> common;
  std::unique_ptr<DeviceKeeper> keeper;
};

TEST_F(SessionEventsTest, AProgramThatEndsIsNoEvent) {
  EXPECT_EQ(end(EventKind::kNone, ""), "");
  EXPECT_EQ(end(EventKind::kWorkerLost, "signal 11", SIGSEGV, true), "") << "its client had gone before";
  EXPECT_EQ(end(EventKind::kNone, "the daemon was ended"), "");
}

TEST_F(SessionEventsTest, WhatDriversDieOfIsAFault) {
  EXPECT_EQ(end(EventKind::kWorkerLost, "signal 11", SIGSEGV), "worker-lost: prog: signal 11, a fault");
  EXPECT_EQ(end(EventKind::kWorkerLost, "signal 6", SIGABRT), "worker-lost: prog: signal 6, a fault");
  keeper = std::make_unique<DeviceKeeper>(*common, [](const std::string&) { return false; });  // else he is told of so many
  EXPECT_EQ(end(EventKind::kOpenFailed, "no", 0, false, State::kAdopting), "open-failed: prog: no, a fault");
  EXPECT_EQ(end(EventKind::kOpenFailed, "too slow", SIGKILL, false, State::kAdopting),
            "open-failed: prog: too slow, a fault");
}

TEST_F(SessionEventsTest, WhatSomebodyDoesIsNone) {
  EXPECT_EQ(end(EventKind::kWorkerLost, "signal 9", SIGKILL), "worker-lost: prog: signal 9");
  EXPECT_EQ(end(EventKind::kWorkerLost, "signal 31", SIGSYS), "worker-lost: prog: signal 31");
  EXPECT_EQ(end(EventKind::kWorkerLost, "exit status 1"), "worker-lost: prog: exit status 1");
  EXPECT_EQ(end(EventKind::kEscaped, "it runs", SIGKILL), "escaped: prog: it runs");
  EXPECT_EQ(end(EventKind::kOverMemory, "it holds", SIGSEGV), "over-memory: prog: it holds")
      << "whatever its worker ends by after that";
}

}  // namespace
}  // namespace amalgam::daemon
