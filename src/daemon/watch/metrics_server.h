// SPDX-License-Identifier: Apache-2.0
// MetricsServer: GET /metrics on a loopback address, nothing else.
//
//   connection ─▶ head of a request, kMetricsRequestBytes ─▶ answer ─▶ until the other side closes
//   └────────────────────────── kMetricsDeadlineMs ──────────────────────────┘
//
// As little of HTTP as a scrape takes: one request a connection, of which the first line counts. Whoever connects and says
// nothing, or says it slowly, costs the others nothing: no connection lives longer than its deadline, and where there are
// more than kMetricsConnections the oldest is closed.
//
// Threads: the loop's. Nothing blocks. Lifetime: ends before the loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"
#include "daemon/host/event_loop.h"

namespace amalgam::daemon {

class MetricsServer {
 public:
  using Render = std::function<std::shared_ptr<const std::string>()>;
  /// `address` as parse_metrics_address() gives it; port 0: any.
  static Result<std::unique_ptr<MetricsServer>> start(EventLoop& loop, const std::string& address, Render render);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  /// With the port that is really used.
  const std::string& address() const { return address_; }
  size_t connections() const { return connections_.size(); }

 private:
  struct Connection {
    UniqueFd socket;
    EventLoop::TimerId timer = 0;
    std::string request;
    std::string head;                         ///< of the answer; empty: none yet
    std::shared_ptr<const std::string> body;  ///< shared by all who ask in the same second
    size_t sent = 0;                          ///< of head and body together
  };
  MetricsServer(EventLoop& loop, Render render) : loop_(loop), render_(std::move(render)) {}
  Result<void> open_socket(const std::string& host, uint16_t port);
  void watch_socket();
  void pause_accepting();
  void accept_some();
  void accept_one(UniqueFd socket);
  void on_ready(uint64_t id, uint32_t events);
  void read_request(uint64_t id, Connection& connection);
  void answer(Connection& connection) const;
  void write_answer(uint64_t id, Connection& connection);
  void close(uint64_t id);

  EventLoop& loop_;
  Render render_;
  UniqueFd socket_;
  EventLoop::TimerId accept_timer_ = 0;  ///< until connections are taken again
  std::string address_;
  std::map<uint64_t, Connection> connections_;  ///< the oldest first
  uint64_t next_id_ = 1;
};

}  // namespace amalgam::daemon
