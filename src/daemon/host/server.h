// SPDX-License-Identifier: Apache-2.0
// Server: the control socket and its connections.
//
// One request of a connection is worked on at a time; further ones wait in its socket, so a peer that asks faster than it is
// answered is slowed down by the kernel and costs us nothing. A peer that does not read its answers is hung up on.
//
// Threads: the loop's. Nothing blocks. Lifetime: connections are named by id; one that has gone is simply not answered.
#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <map>
#include <memory>
#include <span>

#include "daemon/host/event_loop.h"
#include "protocol/control/channel.h"

namespace amalgam::daemon {

class Server {
 public:
  struct Connection {
    uint64_t id = 0;
    protocol::Channel channel;
    protocol::PeerCredentials peer;
    bool busy = false;    ///< a request waits for its answer
    bool paused = false;  ///< nothing is read meanwhile
  };
  using Handler = std::function<void(Connection&, protocol::Packet)>;

  /// Listens at a path, replacing what is left of an earlier socket; the caller holds the socket's lock.
  static Result<std::unique_ptr<Server>> listen(EventLoop& loop, spdlog::logger& log, const std::string& path, mode_t mode);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Handler handler;  ///< must lead to one answer, now or later
  std::function<void()> on_opened;
  std::function<void(uint64_t)> on_closed;

  template <typename M>
  void answer(uint64_t connection, const M& message) {
    if (Connection* to = find(connection)) sent(*to, to->channel.send(message, 0));
  }
  template <typename M>
  void answer_with(uint64_t connection, const M& message, const protocol::DescriptorsToSend<M>& fds) {
    if (Connection* to = find(connection)) sent(*to, to->channel.send_with(message, fds, 0));
  }
  void refuse(uint64_t connection, const Error& error) { answer(connection, protocol::Refused{error.code, error.message}); }
  template <typename M>
  void answer_result(uint64_t connection, const Result<M>& result) {
    result ? answer(connection, *result) : refuse(connection, result.error());
  }

  Connection* find(uint64_t id);
  void close(uint64_t id);
  /// No new connections; the path is removed.
  void stop_listening();
  size_t size() const { return connections_.size(); }

 private:
  Server(EventLoop& loop, spdlog::logger& log, std::string path) : loop_(loop), log_(log), path_(std::move(path)) {}
  void accept_some();
  void accept_over_limit();
  void on_ready(uint64_t id, uint32_t events);
  void sent(Connection& connection, const Result<void>& result);

  EventLoop& loop_;
  spdlog::logger& log_;
  std::string path_;
  UniqueFd socket_;
  UniqueFd reserve_;  ///< given up for a moment when descriptors run out, so that somebody can be turned away
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  uint64_t next_id_ = 1;
};

}  // namespace amalgam::daemon
