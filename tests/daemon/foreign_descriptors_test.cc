// SPDX-License-Identifier: Apache-2.0
// Descriptors that somebody sends to the daemon, and that take as long to close as he likes.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "daemon/host/closer.h"
#include "daemon/host/server.h"
#include "tests/daemon/harness.h"

namespace amalgam::daemon {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int kLingerS = 120;                  // far longer than any of these tests waits
constexpr auto kSoon = seconds(kLingerS / 2);  // generous, and far shorter than that
constexpr int kSoonMs = 1000 * (kLingerS / 2);
constexpr uid_t kSomebody = 4001;

/// A connected pair; in the first one's queue lies a socket that lingers.
struct Poisoned {
  explicit Poisoned(int linger_s) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours.reset(ends[0]);
    UniqueFd theirs(ends[1]);
    EXPECT_TRUE(send_lingering(theirs.get(), linger_s));
  }
  UniqueFd ours;
};

TEST(ForeignDescriptors, ClosingThemLingers) {
  // What the others guard against: without it they would prove nothing.
  Poisoned poisoned(2);
  const auto begin = steady_clock::now();
  poisoned.ours.reset();
  EXPECT_GE(steady_clock::now() - begin, seconds(1));
}

TEST(ForeignDescriptors, TheCloserNeverWaits) {
  const auto begin = steady_clock::now();
  {
    Closer closer;
    for (int i = 0; i < 3; ++i) closer.close(kSomebody, std::move(Poisoned(kLingerS).ours));
  }
  EXPECT_LT(steady_clock::now() - begin, kSoon);
}

TEST(ForeignDescriptors, NorDoesItsThread) {
  std::atomic<int> own = 0;
  std::thread([&own] { own = ::unshare(CLONE_FILES) == 0 ? 1 : -1; }).join();
  if (own < 0) GTEST_SKIP() << "a thread may not have a table of its own here";
  Closer closer;
  for (int i = 0; i < 3; ++i) closer.close(kSomebody, std::move(Poisoned(kLingerS).ours));
  const auto begin = steady_clock::now();
  EXPECT_TRUE(eventually([&] { return closer.waiting() == 0; }));
  EXPECT_EQ(closer.waiting(kSomebody), 0u);
  EXPECT_LT(steady_clock::now() - begin, kSoon);
}

TEST(ForeignDescriptors, WhatIsEmptyIsClosedAtOnce) {
  int ends[2];
  Closer closer;
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd theirs(ends[1]);
  closer.close(kSomebody, UniqueFd(ends[0]));
  EXPECT_EQ(::fcntl(ends[0], F_GETFD), -1);
  char byte = 0;
  EXPECT_EQ(::recv(theirs.get(), &byte, 1, 0), 0) << "and the other side is told";
  // So is what holds messages and nothing with them.
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  theirs.reset(ends[1]);
  for (size_t length : {0, 1, 1000})
    ASSERT_GE(::send(theirs.get(), std::string(length, 'x').data(), length, MSG_DONTWAIT), 0);
  closer.close(kSomebody, UniqueFd(ends[0]));
  EXPECT_EQ(::fcntl(ends[0], F_GETFD), -1);
  EXPECT_EQ(closer.waiting(), 0u);
  // An empty message before the one that counts hides nothing.
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  theirs.reset(ends[1]);
  ASSERT_EQ(::send(theirs.get(), &byte, 0, 0), 0);
  ASSERT_TRUE(send_lingering(theirs.get(), kLingerS));
  const auto begin = steady_clock::now();
  closer.close(kSomebody, UniqueFd(ends[0]));
  EXPECT_LT(steady_clock::now() - begin, kSoon);
}

/// A server as on a kernel that cannot forbid descriptors, with its loop in a thread.
struct OldServer : testing::Test {
  OldServer() {
    char name[] = "/tmp/amalgam-server-XXXXXX";
    folder = ::mkdtemp(name);
    path = folder / "s";
    auto listening = Server::listen(*loop, log, closer, {.path = path, .forbids_descriptors = false});
    EXPECT_TRUE(listening) << listening.error().text();
    server = std::move(*listening);
    server->handler = [this](Server::Connection& connection, const protocol::Packet& packet) {
      received += packet.fds.size();
      server->answer(connection.id, protocol::Done{});
    };
    thread = std::thread([this] { loop->run(); });
  }
  ~OldServer() override {
    loop->stop();
    thread.join();
    server.reset();
    std::filesystem::remove_all(folder);
  }
  /// Whether somebody else is served as if nothing was.
  bool serves() const {
    auto channel = protocol::Channel::connect(path);
    return channel && channel->call<protocol::Done>(protocol::GetStatus{}, kSoonMs);
  }
  std::filesystem::path folder, path;
  Logger log;
  std::unique_ptr<EventLoop> loop = std::move(EventLoop::create().value());
  Closer closer;
  std::unique_ptr<Server> server;
  std::atomic<size_t> received = 0;
  std::thread thread;
};

/// How many messages come until the other side has hung up; -1 if it does not. The kernel says once, before all else, that
/// what we sent was not read to its end.
int answers_before_the_end(int socket) {
  const timeval patience{kSoonMs / 1000, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char byte;
  for (int answers = 0;;) {
    const ssize_t got = ::recv(socket, &byte, 1, 0);
    if (got == 0) return answers;
    if (got > 0) ++answers;
    if (got < 0 && errno != ECONNRESET) return -1;
  }
}

TEST_F(OldServer, NobodyStopsTheLoopWithADescriptor) {
  for (bool hangs_up : {false, true, false}) {
    auto attacker = protocol::Channel::connect(path);
    ASSERT_TRUE(attacker);
    ASSERT_TRUE(attacker->send(protocol::GetStatus{}));
    ASSERT_TRUE(send_lingering(attacker->fd(), kLingerS));
    if (hangs_up) attacker = protocol::Channel();
    EXPECT_TRUE(serves());
    if (hangs_up) continue;
    EXPECT_EQ(answers_before_the_end(attacker->fd()), 1) << "what came before the descriptor is answered";
  }
  EXPECT_EQ(received, 0u);
}

TEST_F(OldServer, NorWithOneForAConnectionThatIsTurnedAway) {
  std::vector<protocol::Channel> all;
  for (uint64_t i = 0; i < kMaxConnections; ++i) all.push_back(protocol::Channel::connect(path).value());
  auto over = protocol::Channel::connect(path);
  (void)send_lingering(over->fd(), kLingerS);
  over = protocol::Channel();
  all.resize(10);
  EXPECT_TRUE(eventually([&] { return serves(); }));
}

TEST(ForeignDescriptorsProcess, ADaemonAnswersMeanwhile) {
  TestDaemon daemon;
  auto attacker = daemon.connect();
  const bool sent = send_lingering(attacker.fd(), kLingerS);
  const auto begin = steady_clock::now();
  (void)daemon.status();
  EXPECT_LT(steady_clock::now() - begin, kSoon);
  RecordProperty("the kernel let it pass", sent ? 1 : 0);
}

}  // namespace
}  // namespace amalgam::daemon
