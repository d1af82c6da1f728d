// SPDX-License-Identifier: Apache-2.0
// MetricsServer: GET /metrics on a loopback address, nothing else.
//
// Threads: a few of its own, asleep while nobody asks; the text is made in the loop's thread. Lifetime: ends before the
// loop.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/error.h"
#include "daemon/host/event_loop.h"

namespace httplib {
class Server;
}

namespace amalgam::daemon {

class MetricsServer {
 public:
  /// `address` as parse_metrics_address() gives it; port 0: any. `render` is called in the loop's thread.
  static Result<std::unique_ptr<MetricsServer>> start(EventLoop& loop, const std::string& address,
                                                      std::function<std::string()> render);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  /// With the port that is really used.
  const std::string& address() const { return address_; }

 private:
  MetricsServer(EventLoop& loop, std::function<std::string()> render);
  bool ask_loop(std::string& text);

  EventLoop& loop_;
  std::function<std::string()> render_;
  std::unique_ptr<httplib::Server> http_;
  std::string address_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace amalgam::daemon
