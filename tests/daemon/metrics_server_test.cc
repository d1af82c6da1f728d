// SPDX-License-Identifier: Apache-2.0
// The metrics over HTTP, and those who connect and do not ask as one should.
#include "daemon/watch/metrics_server.h"

#include <sys/socket.h>

#include <thread>

#include "base/limits.h"
#include "tests/daemon/harness.h"

namespace amalgam::daemon {
namespace {

/// A server and its loop, in a thread.
struct MetricsServerTest : testing::Test {
  MetricsServerTest() {
    auto started = MetricsServer::start(*loop, "127.0.0.1:0", [this] { return text; });
    EXPECT_TRUE(started) << started.error().text();
    server = std::move(*started);
    address = server->address();
    thread = std::thread([this] { loop->run(); });
  }
  ~MetricsServerTest() override {
    loop->stop();
    thread.join();
  }
  std::string first_line(const std::string& request) {
    const std::string answer = http(address, request);
    return answer.substr(0, answer.find('\r'));
  }
  std::unique_ptr<EventLoop> loop = std::move(EventLoop::create().value());
  std::shared_ptr<const std::string> text = std::make_shared<const std::string>("a 1\nb 2\n");
  std::unique_ptr<MetricsServer> server;
  std::string address;
  std::thread thread;
};

TEST_F(MetricsServerTest, AScrapeIsAnsweredAndNothingElse) {
  const std::string answer = http(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find("\r\nContent-Length: 8\r\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\na 1\nb 2\n")) << answer;
  EXPECT_EQ(first_line("GET /metrics?x=1 HTTP/1.0\n\n"), "HTTP/1.1 200 OK");
  EXPECT_EQ(first_line("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
  EXPECT_EQ(first_line("GET /metricsx HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
  EXPECT_EQ(first_line("POST /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"), "HTTP/1.1 405 Method Not Allowed");
  EXPECT_EQ(first_line("nonsense\r\n\r\n"), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(first_line(std::string(kMetricsRequestBytes + 1, 'x')), "") << "hung up on";
}

TEST_F(MetricsServerTest, ALargeAnswerArrivesWhole) {
  text = std::make_shared<const std::string>(std::string(16 * kMiB, 'x'));
  EXPECT_GT(http(address, "GET /metrics HTTP/1.1\r\n\r\n").size(), text->size());
}

TEST_F(MetricsServerTest, TwoDaemonsDoNotShareAPort) {
  auto loop2 = std::move(EventLoop::create().value());
  auto second = MetricsServer::start(*loop2, address, [] { return nullptr; });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kUnavailable);
  EXPECT_NE(second.error().message.find(address + " cannot be listened at"), std::string::npos) << second.error().message;
}

TEST_F(MetricsServerTest, WhoAsksSlowlyIsHungUpOn) {
  UniqueFd slow = connect_tcp(address);
  ASSERT_EQ(::send(slow.get(), "G", 1, MSG_NOSIGNAL), 1);
  char byte = 0;
  EXPECT_EQ(::recv(slow.get(), &byte, 1, 0), 0) << "it ends, and says nothing";
}

TEST_F(MetricsServerTest, TheOldestGoWhenThereAreTooMany) {
  // All have said something, and nothing whole: none of them is answered.
  std::vector<UniqueFd> halves;
  for (int i = 0; i < 200; ++i) {
    halves.push_back(connect_tcp(address));
    ASSERT_EQ(::send(halves.back().get(), "GET /met", 8, MSG_NOSIGNAL), 8);
    if (i % 20 == 0) {
      EXPECT_EQ(first_line("GET /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK");
    }
  }
  ASSERT_TRUE(eventually([&] {
    std::atomic<size_t> there = SIZE_MAX;
    loop->post([&] {
      there = server->connections();
      there.notify_one();
    });
    there.wait(SIZE_MAX);
    return there <= kMetricsConnections;
  }));
  EXPECT_EQ(first_line("GET /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK");
}

}  // namespace
}  // namespace amalgam::daemon
