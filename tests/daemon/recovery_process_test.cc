// SPDX-License-Identifier: Apache-2.0
// The daemon dies and comes back: running programs do not notice, and the ledger says what it said before.
#include <signal.h>

#include <fstream>
#include <random>
#include <thread>

#include "tests/daemon/harness.h"

namespace amalgam::daemon {
namespace {

TEST(RecoveryProcessTest, SessionsAndLedgerAreThereAgain) {
  TestDaemon daemon;
  auto slice = make_slice(daemon, 256 * kMiB);
  TestClient quota(daemon, slice.created.token);
  ASSERT_EQ(quota.opened(), "open");
  TestClient free(daemon);
  ASSERT_EQ(free.opened(), "open");
  ASSERT_EQ(quota.alloc(100 * kMiB), "ok");
  ASSERT_EQ(free.alloc(50 * kMiB), "ok");
  auto before = daemon.sessions();
  uint64_t held = daemon.held();
  daemon.kill();
  daemon.start();
  auto after = daemon.sessions();
  ASSERT_EQ(after.size(), 2u);
  for (size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].session, before[i].session);
    EXPECT_EQ(after[i].slice_name, before[i].slice_name);
    EXPECT_EQ(after[i].worker_pid, before[i].worker_pid);
    EXPECT_EQ(after[i].program, before[i].program);
    EXPECT_EQ(after[i].memory_now, before[i].memory_now);
    EXPECT_EQ(after[i].quota_bytes, before[i].quota_bytes);
  }
  EXPECT_EQ(daemon.held(), held);
  EXPECT_NE(quota.alloc(200 * kMiB).find("refused"), std::string::npos);
  EXPECT_EQ(quota.alloc(100 * kMiB), "ok");
  EXPECT_EQ(free.alloc(50 * kMiB), "ok");
  // The slice's creator (this process) lives although its connection is gone: new sessions can still be opened on it.
  TestClient late(daemon, slice.created.token);
  EXPECT_EQ(late.opened(), "open");
  late.kill();
  quota.kill();
  free.kill();
  EXPECT_TRUE(eventually([&] { return daemon.sessions().empty() && daemon.held() == 256 * kMiB; }));
}

TEST(RecoveryProcessTest, WhatEndedMeanwhileIsGivenBack) {
  TestDaemon daemon;
  auto client = std::make_unique<TestClient>(daemon);
  TestClient survivor(daemon);
  ASSERT_EQ(client->opened(), "open");
  ASSERT_EQ(survivor.opened(), "open");
  ASSERT_EQ(client->alloc(50 * kMiB), "ok");
  pid_t worker = 0;
  for (const auto& session : daemon.sessions())
    if (session.pid == client->pid()) worker = session.worker_pid;
  daemon.kill();
  client->kill();
  ASSERT_TRUE(eventually([&] { return !alive(worker); }));
  daemon.start();
  EXPECT_EQ(daemon.sessions().size(), 1u);
  EXPECT_EQ(daemon.held(), 0u);
  EXPECT_EQ(survivor.alloc(kMiB), "ok");
}

TEST(RecoveryProcessTest, AllocationsDuringTheAbsenceWaitForTheReturn) {
  TestDaemon daemon;
  TestClient client(daemon);
  ASSERT_EQ(client.opened(), "open");
  daemon.kill();
  client.post("alloc " + std::to_string(200 * kMiB) + "\n");
  daemon.start();
  EXPECT_EQ(client.line(), "ok");
  EXPECT_GE(daemon.held(), 200 * kMiB);
}

TEST(RecoveryProcessTest, AFrozenWorkerKeepsWhatItHeldAndComesBackLater) {
  TestDaemon daemon;
  TestClient client(daemon);
  ASSERT_EQ(client.opened(), "open");
  ASSERT_EQ(client.alloc(100 * kMiB), "ok");
  uint64_t held = daemon.held();
  pid_t worker = daemon.sessions().front().worker_pid;
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // what it holds has reached the state file
  ::kill(worker, SIGSTOP);
  daemon.kill();
  daemon.start();
  EXPECT_EQ(daemon.held(), held);
  EXPECT_EQ(daemon.sessions().front().worker_pid, worker);
  ::kill(worker, SIGCONT);
  EXPECT_EQ(client.alloc(100 * kMiB), "ok");
  EXPECT_GE(daemon.held(), 200 * kMiB);
}

TEST(RecoveryProcessTest, AServiceRestartKeepsSessions) {
  char name[] = "/tmp/amalgam-config-XXXXXX";
  int fd = ::mkstemp(name);
  ASSERT_GE(fd, 0);
  ::close(fd);
  std::ofstream(name) << "keep_sessions_on_exit = true\n";
  TestDaemon daemon({"--config", name});
  TestClient client(daemon);
  ASSERT_EQ(client.opened(), "open");
  ASSERT_EQ(client.alloc(kMiB), "ok");
  daemon.signal(SIGTERM);
  EXPECT_EQ(daemon.wait(), 0);
  daemon.start();
  EXPECT_EQ(daemon.sessions().size(), 1u);
  EXPECT_EQ(client.alloc(64 * kMiB), "ok");
  ::unlink(name);
}

TEST(RecoveryProcessTest, ManyDeathsLeaveNothingBehind) {
  TestDaemon daemon;
  std::mt19937 random(1);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int round = 0; round < 12; ++round) {
    auto client = std::make_unique<TestClient>(daemon);
    ASSERT_EQ(client->opened(), "open");
    ASSERT_EQ(client->alloc(random() % (64 * kMiB) + 1), "ok");
    clients.push_back(std::move(client));
    if (random() % 3 == 0) clients.erase(clients.begin() + static_cast<ptrdiff_t>(random() % clients.size()));
    if (random() % 3 != 0) continue;
    daemon.kill();
    daemon.start();
    uint64_t now = 0;
    auto sessions = daemon.sessions();
    for (const auto& session : sessions) now += session.memory_now;
    EXPECT_GE(daemon.held(), now);
    EXPECT_LE(daemon.held(), now + sessions.size() * 2 * kGrantSlackBytes);
  }
  clients.clear();
  EXPECT_TRUE(eventually([&] { return daemon.sessions().empty() && daemon.held() == 0; }));
}

}  // namespace
}  // namespace amalgam::daemon
