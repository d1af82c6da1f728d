// SPDX-License-Identifier: Apache-2.0
// The daemon from outside: devices, slices, sessions, deaths of clients and workers, its own orderly end.
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "tests/daemon/harness.h"

namespace amalgam::daemon {
namespace {

constexpr int kPatienceMs = 60'000;

TEST(DaemonProcessTest, AListingWaitsForTheProbes) {
  TestDaemon daemon;
  auto devices = daemon.devices();
  ASSERT_FALSE(devices.empty());
  EXPECT_EQ(devices.front().device.id, "opencl:0");
  EXPECT_EQ(devices.front().device.health, model::Health::kHealthy);
  EXPECT_GT(devices.front().pool_bytes, 0u);
  EXPECT_TRUE(devices.front().device.properties.empty());
  protocol::ListDevices with;
  with.with_properties = true;
  auto list = daemon.connect().call<protocol::DeviceList>(with, kPatienceMs);
  ASSERT_TRUE(list);
  EXPECT_FALSE(list->entries.front().device.properties.empty());
}

TEST(DaemonProcessTest, StatusSaysWhatWorkersAreConfinedBy) {
  TestDaemon daemon;
  const model::Confinement has = daemon.status().confinement;
  EXPECT_TRUE(has.calls && has.no_capabilities) << has.text();
  EXPECT_EQ(has.own_user, ::geteuid() == 0);
  EXPECT_EQ(has.missing.empty(), has.lacking().empty()) << has.lacking() << ": " << has.missing;
}

TEST(DaemonProcessTest, BrokenDriversBecomeSickDevices) {
  TestDaemon daemon({}, "AMALGAM_TEST_BROKEN");
  auto devices = daemon.devices();
  ASSERT_EQ(devices.size(), 5u);
  EXPECT_EQ(devices[0].device.name, "half of well.so");
  std::set<std::string> reasons;
  for (size_t i = 1; i < devices.size(); ++i) {
    EXPECT_EQ(devices[i].device.health, model::Health::kSick);
    reasons.insert(devices[i].device.name + ": " + devices[i].device.health_text);
  }
  EXPECT_EQ(reasons,
            (std::set<std::string>{"crashes.so: the driver ended its probe: signal 6 (Aborted)",
                                   "ends.so: the driver ended its probe: exit status 3",
                                   "garbles.so: its probe broke the protocol", "refuses.so: CL_OUT_OF_HOST_MEMORY"}));
  // Its workers do not start either; whoever wants one is told so.
  TestClient client(daemon);
  EXPECT_NE(client.opened().find("the worker ended at its start: exit status 7"), std::string::npos);
  protocol::CreateSlice sick;
  sick.devices = {devices[1].device.id};
  EXPECT_EQ(daemon.connect().call<protocol::SliceCreated>(sick, kPatienceMs).error().code, Code::kUnavailable);
  sick.devices = {"opencl:77"};
  auto unknown = daemon.connect().call<protocol::SliceCreated>(sick, kPatienceMs);
  EXPECT_NE(unknown.error().message.find("there is opencl:0 (half of well.so)"), std::string::npos);
}

TEST(DaemonProcessTest, QuotaIsExactAndAKilledClientReturnsEverything) {
  TestDaemon daemon;
  auto slice = make_slice(daemon, 64 * kMiB);
  EXPECT_EQ(daemon.held(), 64 * kMiB);
  {
    TestClient first(daemon, slice.created.token);
    ASSERT_EQ(first.opened(), "open");
    TestClient second(daemon, slice.created.token);
    ASSERT_EQ(second.opened(), "open");
    EXPECT_EQ(first.alloc(40 * kMiB), "ok");
    EXPECT_EQ(second.alloc(24 * kMiB), "ok");
    std::string refusal = second.alloc(1);
    EXPECT_NE(refusal.find("refused"), std::string::npos);
    EXPECT_NE(refusal.find("holds 40 MiB"), std::string::npos) << refusal;
    auto sessions = daemon.sessions();
    ASSERT_EQ(sessions.size(), 2u);
    EXPECT_EQ(sessions[0].memory_now, 40 * kMiB);
    EXPECT_EQ(sessions[0].quota_bytes, 64 * kMiB);
    first.kill();
    ASSERT_TRUE(eventually([&] { return daemon.sessions().size() == 1; }));
    EXPECT_EQ(second.alloc(40 * kMiB), "ok");
    EXPECT_FALSE(alive(sessions[0].worker_pid));
  }
  ASSERT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
  slice.connection = protocol::Channel();
  EXPECT_TRUE(eventually([&] { return daemon.held() == 0; }));
  EXPECT_EQ(daemon.status().slices, 0u);
}

TEST(DaemonProcessTest, RacingSessionsNeverPassTheQuotaAndUseAllOfIt) {
  TestDaemon daemon;
  constexpr uint64_t kChunk = 4 * kMiB;
  constexpr int kClients = 4, kChunks = 32;
  auto slice = make_slice(daemon, kChunks * kChunk);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(std::make_unique<TestClient>(daemon, slice.created.token));
  for (auto& client : clients) ASSERT_EQ(client->opened(), "open");
  int granted = 0;
  for (int round = 0; round < kChunks; ++round) {
    for (auto& client : clients) client->post("alloc " + std::to_string(kChunk) + "\n");
    for (auto& client : clients) granted += client->line() == "ok" ? 1 : 0;
    uint64_t now = 0;
    for (const auto& session : daemon.sessions()) now += session.memory_now;
    ASSERT_LE(now, kChunks * kChunk);
  }
  EXPECT_EQ(granted, kChunks);
}

TEST(DaemonProcessTest, WithoutAQuotaOnlyWhatIsUsedIsHeld) {
  TestDaemon daemon;
  TestClient client(daemon);
  ASSERT_EQ(client.opened(), "open");
  EXPECT_EQ(daemon.held(), 0u);
  EXPECT_EQ(client.alloc(100 * kMiB), "ok");
  EXPECT_GE(daemon.held(), 100 * kMiB);
  EXPECT_EQ(client.free(), "ok");
  EXPECT_TRUE(eventually([&] { return daemon.held() <= 2 * kGrantSlackBytes; }));
  EXPECT_EQ(daemon.sessions().front().slice_name, "default");
  client.kill();
  EXPECT_TRUE(eventually([&] { return daemon.held() == 0 && daemon.status().slices == 0; }));
}

TEST(DaemonProcessTest, AKilledWorkerEndsItsSessionOnly) {
  TestDaemon daemon;
  TestClient victim(daemon), other(daemon);
  ASSERT_EQ(victim.opened(), "open");
  ASSERT_EQ(other.opened(), "open");
  EXPECT_EQ(victim.alloc(50 * kMiB), "ok");
  for (const auto& session : daemon.sessions())
    if (session.pid == victim.pid()) ::kill(session.worker_pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return daemon.sessions().size() == 1; }));
  EXPECT_NE(victim.alloc(1).find("refused"), std::string::npos);
  EXPECT_EQ(other.alloc(kMiB), "ok");
}

TEST(DaemonProcessTest, AClientThatClosesItsDescriptorsGoesOn) {
  TestDaemon daemon;
  for (bool worker_dies : {false, true}) {
    TestClient client(daemon);
    ASSERT_EQ(client.opened(), "open");
    client.post("close\n");
    EXPECT_EQ(client.line(), "ok");
    EXPECT_TRUE(eventually([&] {
      return daemon.log().find("goes on", worker_dies ? daemon.log().find("goes on") + 1 : 0) != std::string::npos;
    }));
    EXPECT_EQ(client.alloc(kMiB), "ok") << "a heap that it cannot ask for its size any more";
    ASSERT_EQ(daemon.sessions().size(), 1u);
    if (worker_dies) {
      ::kill(daemon.sessions().front().worker_pid, SIGKILL);
      EXPECT_NE(client.alloc(1).find("refused"), std::string::npos);
    } else {
      client.kill();
    }
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
  }
  EXPECT_EQ(daemon.held(), 0u);
}

TEST(DaemonProcessTest, AClientThatBecomesAnotherProgramHasNoSession) {
  TestDaemon daemon;
  TestClient client(daemon);
  ASSERT_EQ(client.opened(), "open");
  client.post("become\n");
  EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
  EXPECT_TRUE(alive(client.pid()));
}

TEST(DaemonProcessTest, AWorkerThatDoesNotNoticeItsClientsDeathIsKilled) {
  TestDaemon daemon;
  TestClient client(daemon);
  ASSERT_EQ(client.opened(), "open");
  pid_t worker = daemon.sessions().front().worker_pid;
  ::kill(worker, SIGSTOP);
  client.kill();
  EXPECT_TRUE(eventually([&] { return !alive(worker) && daemon.sessions().empty(); }));
}

TEST(DaemonProcessTest, TheSecondDaemonSaysWhoHoldsTheSocket) {
  TestDaemon daemon;
  auto path = daemon.socket();
  std::string command = std::string(::getenv("AMALGAM_TEST_DAEMON")) + " --socket " + path + " --state-dir " +
                        (daemon.folder() / "other").string() + " 2>&1";
  FILE* second = ::popen(command.c_str(), "r");
  char text[512] = {};
  size_t n = std::fread(text, 1, sizeof text - 1, second);
  EXPECT_NE(::pclose(second), 0);
  EXPECT_NE(std::string(text, n).find("another amalgamd (pid " + std::to_string(daemon.pid()) + ")"), std::string::npos)
      << text;
}

TEST(DaemonProcessTest, TokensOfNobodyAreRefused) {
  TestDaemon daemon;
  TestClient client(daemon, {1, 2});
  EXPECT_NE(client.opened().find("no such slice"), std::string::npos);
}

TEST(DaemonProcessTest, GarbageEndsAtMostItsConnection) {
  TestDaemon daemon;
  for (int length : {1, 7, 8, 9, 64, 4096, 150'000}) {
    auto channel = daemon.connect();
    std::string bytes(static_cast<size_t>(length), '\x5a');
    (void)!::send(channel.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    (void)channel.receive(kPatienceMs);
  }
  for (uint16_t type = 0; type < 64; ++type) {
    if (type == static_cast<uint16_t>(protocol::ControlType::kShutdown)) continue;
    auto channel = daemon.connect();
    char packet[64] = {};
    std::memcpy(packet, &type, sizeof type);
    std::memset(packet + 8, 0xff, sizeof packet - 8);
    ASSERT_GT(::send(channel.fd(), packet, sizeof packet, MSG_NOSIGNAL), 0);
    (void)channel.receive(kPatienceMs);
  }
  EXPECT_TRUE(eventually([&] { return daemon.status().slices == 0; }));
}

TEST(DaemonProcessTest, APeerThatDoesNotReadIsSlowedDownNotServed) {
  TestDaemon daemon;
  auto greedy = daemon.connect();
  for (int i = 0; i < 2000; ++i)
    if (!greedy.send(protocol::GetMetrics{}, 0)) break;
  EXPECT_FALSE(daemon.devices().empty());
}

TEST(DaemonProcessTest, MetricsAreServedOverHttpAndTheSocketAlike) {
  TestDaemon daemon({"--metrics", "127.0.0.1:0"});
  TestClient client(daemon);
  ASSERT_EQ(client.opened(), "open");
  ASSERT_EQ(client.alloc(3 * kMiB), "ok");
  std::string address = daemon.status().metrics_address;
  const std::string answer = http(address, "GET /metrics HTTP/1.1\r\nHost: " + address + "\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find("amalgam_device_memory_bytes{device=\"opencl:0\",kind=\"total\"}"), std::string::npos);
  EXPECT_NE(answer.find("kind=\"now\"} 3145728"), std::string::npos) << answer;
  auto text = daemon.connect().call<protocol::MetricsText>(protocol::GetMetrics{}, kPatienceMs);
  ASSERT_TRUE(text);
  EXPECT_NE(text->text.find("amalgam_session_device_time_seconds_total"), std::string::npos);
}

TEST(DaemonProcessTest, ShutdownEndsItsSessionsAndRemovesTheSocket) {
  TestDaemon daemon;
  TestClient client(daemon);
  ASSERT_EQ(client.opened(), "open");
  pid_t worker = daemon.sessions().front().worker_pid;
  EXPECT_TRUE(daemon.connect().call<protocol::Done>(protocol::Shutdown{}, kPatienceMs));
  EXPECT_EQ(daemon.wait(), 0);
  EXPECT_TRUE(eventually([&] { return !alive(worker); }));
  EXPECT_FALSE(std::filesystem::exists(daemon.socket()));
  EXPECT_NE(client.alloc(1).find("refused"), std::string::npos);
}

TEST(DaemonProcessTest, AnIdleDaemonLeaves) {
  TestDaemon daemon({"--idle-exit", "1"});
  (void)daemon.devices();
  EXPECT_EQ(daemon.wait(), 0);
}

}  // namespace
}  // namespace amalgam::daemon
