// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/server.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>

namespace amalgam::daemon {
namespace {

using protocol::Channel;
using protocol::Done;
using protocol::GetStatus;

constexpr int kLongMs = 60'000;

/// A server whose loop is turned by the test; nobody is privileged there.
struct ServerTest : testing::Test {
  ServerTest() {
    char name[] = "/tmp/amalgam-server-XXXXXX";
    folder = ::mkdtemp(name);
    options.path = folder / "s";
    options.is_privileged = [](uid_t) { return false; };
  }
  ~ServerTest() override {
    server.reset();
    std::filesystem::remove_all(folder);
  }
  void listen() {
    auto listening = Server::listen(*loop, log, closer, options);
    ASSERT_TRUE(listening) << listening.error().text();
    server = std::move(*listening);
    server->handler = [this](Server::Connection& connection, const protocol::Packet&) {
      ++requests;
      server->answer(connection.id, Done{});
    };
  }
  Channel connect() const {
    auto channel = Channel::connect(options.path);
    EXPECT_TRUE(channel);
    return std::move(*channel);
  }
  /// Lets the loop work for a while.
  void turn(uint64_t ms = 1) {
    loop->after_ms(ms, [this] { loop->stop(); });
    loop->run();
  }
  void turn_until(const std::function<bool()>& enough) {
    for (uint64_t end = monotonic_ms() + kLongMs; !enough() && monotonic_ms() < end;) turn();
    EXPECT_TRUE(enough());
  }
  std::string refusal(const Channel& channel) const {
    auto packet = channel.receive(0);
    if (!packet) return "no word";
    auto done = packet->as<Done>();
    return done ? "" : done.error().text();
  }
  std::filesystem::path folder;
  Logger log;
  std::unique_ptr<EventLoop> loop = std::move(EventLoop::create().value());
  Closer closer;
  Server::Options options;
  std::unique_ptr<Server> server;
  uint64_t requests = 0;
};

TEST_F(ServerTest, AUserHasSoManyConnections) {
  options.connections = {"connections", 10, 3, 2, "close some"};
  listen();
  std::vector<Channel> all;
  for (int i = 0; i < 3; ++i) all.push_back(connect());
  Channel over = connect();
  turn();
  EXPECT_EQ(server->size(), 3u);
  EXPECT_EQ(refusal(over), "limit reached: connections-per-user: you have 3, as many as one user may; close some");
  all.pop_back();
  turn();
  Channel again = connect();
  ASSERT_TRUE(again.send(GetStatus{}));
  turn();
  EXPECT_EQ(refusal(again), "");
}

TEST_F(ServerTest, APartOfTheConnectionsIsKept) {
  options.connections = {"connections", 4, 10, 1, "close some"};
  bool privileged = false;
  options.is_privileged = [&](uid_t) { return privileged; };
  listen();
  std::vector<Channel> all;
  for (int i = 0; i < 3; ++i) all.push_back(connect());
  turn();
  Channel over = connect();
  turn();
  EXPECT_EQ(refusal(over),
            "limit reached: connections: users have 3 together and the rest is kept for root; you have 3; close some");
  privileged = true;
  Channel root = connect();
  ASSERT_TRUE(root.send(GetStatus{}));
  turn();
  EXPECT_EQ(refusal(root), "");
}

/// What this thread has used of a processor.
uint64_t cpu_us() {
  rusage used{};
  ::getrusage(RUSAGE_THREAD, &used);
  const auto us = [](const timeval& time) { return static_cast<uint64_t>(time.tv_sec * 1'000'000 + time.tv_usec); };
  return us(used.ru_utime) + us(used.ru_stime);
}

/// How long `count` requests take over `connections` connections, each of which asks whenever it was answered.
uint64_t time_of_ms(ServerTest& test, uint64_t count, size_t connections) {
  std::vector<Channel> channels;
  for (size_t i = 0; i < connections; ++i) channels.push_back(test.connect());
  for (const Channel& channel : channels) EXPECT_TRUE(channel.send(GetStatus{}));
  const uint64_t begin = monotonic_ms();
  uint64_t answered = 0;
  test.turn_until([&] {
    for (const Channel& channel : channels)
      while (channel.receive(0)) {
        ++answered;
        (void)channel.send(GetStatus{});
      }
    return answered >= count;
  });
  return monotonic_ms() - begin;
}

TEST_F(ServerTest, WhoAsksTooOftenWaitsAndIsNotRefused) {
  listen();
  // The burst is there at once; the rest comes at the rate that is allowed.
  const uint64_t over = kRequestsPerSecond / 2;
  EXPECT_GE(time_of_ms(*this, kRequestBurst + over, 100), 1000 * over / kRequestsPerSecond * 9 / 10);
  EXPECT_LE(requests, kRequestBurst + 2 * kRequestsPerSecond + 100) << "or it was this machine that was slow";
}

TEST_F(ServerTest, ThePrivilegedDoNotWait) {
  options.is_privileged = [](uid_t) { return true; };
  listen();
  time_of_ms(*this, kRequestBurst + kRequestsPerSecond, 100);
  EXPECT_GE(requests, kRequestBurst + kRequestsPerSecond);
}

TEST_F(ServerTest, WhoWaitsCostsNothing) {
  listen();
  // One request that takes the loop so long that the burst is used up, and kOwedMs of what comes back as well.
  constexpr uint64_t kOwedMs = 400, kSpentPerMs = 1000 / kRequestCostUs, kBackPerMs = kRequestsPerSecond / 1000;
  constexpr uint64_t kBusyMs = (kRequestBurst + kOwedMs * kBackPerMs) / (kSpentPerMs - kBackPerMs);
  server->handler = [this](Server::Connection& connection, const protocol::Packet&) {
    ++requests;
    for (const uint64_t end = monotonic_ms() + kBusyMs; monotonic_ms() < end;) {
    }
    server->answer(connection.id, Done{});
  };
  Channel slow = connect();
  ASSERT_TRUE(slow.send(GetStatus{}));
  turn();
  ASSERT_TRUE(slow.send(GetStatus{}));
  const uint64_t begin_us = cpu_us();
  turn(kOwedMs / 4);
  EXPECT_EQ(requests, 1u);
  EXPECT_LE(cpu_us() - begin_us, kOwedMs / 4 * 1000 * 9 / 10) << "the loop turns and turns";
  turn_until([this] { return requests == 2; });
}

TEST_F(ServerTest, WhoWaitsAndHangsUpIsForgotten) {
  listen();
  server->handler = [this](Server::Connection& connection, const protocol::Packet&) {
    server->answer(connection.id, Done{});
  };
  time_of_ms(*this, kRequestBurst, 50);
  std::vector<Channel> waiting;
  for (int i = 0; i < 100; ++i) {
    waiting.push_back(connect());
    ASSERT_TRUE(waiting.back().send(GetStatus{}));
  }
  turn();
  waiting.clear();
  turn_until([this] { return server->size() == 0; });
}

TEST_F(ServerTest, WithoutDescriptorsNobodyIsLetInForAWhile) {
  listen();
  Channel first = connect();
  turn();
  // No descriptor is left from here on.
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  Channel second = connect();
  rlimit none = before;
  none.rlim_cur = 0;
  ::setrlimit(RLIMIT_NOFILE, &none);
  const uint64_t begin_us = cpu_us();
  turn(kAcceptPauseMs / 2);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_LE(cpu_us() - begin_us, kAcceptPauseMs / 2 * 1000 * 9 / 10) << "the loop turns and turns";
  EXPECT_EQ(server->size(), 1u);
  ASSERT_TRUE(second.send(GetStatus{}));
  turn_until([this] { return server->size() == 2; });
  turn();
  EXPECT_EQ(refusal(second), "") << "it has only waited";
}

}  // namespace
}  // namespace amalgam::daemon
