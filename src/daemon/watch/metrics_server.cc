// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch/metrics_server.h"

#include <httplib.h>

#include <chrono>
#include <future>

namespace amalgam::daemon {
namespace {

constexpr size_t kThreads = 2;
constexpr size_t kMaxRequestBytes = 4096;
constexpr auto kLoopPatience = std::chrono::seconds(5);
constexpr auto kLook = std::chrono::milliseconds(50);
constexpr time_t kClientSeconds = 5;

}  // namespace

MetricsServer::MetricsServer(EventLoop& loop, std::function<std::string()> render)
    : loop_(loop), render_(std::move(render)), http_(std::make_unique<httplib::Server>()) {}

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(EventLoop& loop, const std::string& address,
                                                            std::function<std::string()> render) {
  size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  int port = std::stoi(address.substr(colon + 1));
  std::unique_ptr<MetricsServer> server(new MetricsServer(loop, std::move(render)));
  MetricsServer* self = server.get();
  httplib::Server& http = *server->http_;
  http.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  http.set_keep_alive_max_count(1);
  http.set_read_timeout(kClientSeconds);
  http.set_write_timeout(kClientSeconds);
  http.set_payload_max_length(kMaxRequestBytes);
  // Not SO_REUSEPORT, which the library would set: two daemons must not share a port unknowingly.
  http.set_socket_options([](socket_t socket) {
    int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  http.Get("/metrics", [self](const httplib::Request&, httplib::Response& response) {
    std::string text;
    if (self->ask_loop(text)) {
      response.set_content(text, "text/plain; version=0.0.4; charset=utf-8");
    } else {
      response.status = 503;
    }
  });
  bool bound = true;
  if (port == 0) {
    port = http.bind_to_any_port(host);
    bound = port > 0;
  } else {
    bound = http.bind_to_port(host, port);
  }
  if (!bound)
    return fail(Code::kUnavailable,
                "metrics: " + address + " cannot be listened at; choose another with --metrics, or \"off\"");
  server->address_ = host + ":" + std::to_string(port);
  server->thread_ = std::thread([self] { self->http_->listen_after_bind(); });
  // stop() before the server listens would be lost.
  while (!http.is_running()) std::this_thread::yield();
  return server;
}

MetricsServer::~MetricsServer() {
  ending_ = true;
  http_->stop();
  if (thread_.joinable()) thread_.join();
}

bool MetricsServer::ask_loop(std::string& text) {
  auto promise = std::make_shared<std::promise<std::string>>();
  auto future = promise->get_future();
  loop_.post([this, promise] { promise->set_value(render_()); });
  auto end = std::chrono::steady_clock::now() + kLoopPatience;
  while (!ending_ && std::chrono::steady_clock::now() < end) {
    if (future.wait_for(kLook) != std::future_status::ready) continue;
    text = future.get();
    return true;
  }
  return false;
}

}  // namespace amalgam::daemon
