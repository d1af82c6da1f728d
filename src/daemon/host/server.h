// SPDX-License-Identifier: Apache-2.0
// Server: a control socket and its connections.
//
// One request of a connection is worked on at a time; further ones wait in its socket, so a peer that asks faster than it is
// answered is slowed down by the kernel and costs us nothing. A peer that does not read its answers is hung up on.
//
// Users are kept from one another: each has so many connections and so many requests a second, and a part of the connections
// is kept for the privileged (users.h). Who asks more often is not refused; its connections are not read until its turn has
// come. A request that takes the loop long counts as several, so kRequestCostUs is what a user may take of the loop's time.
// When descriptors run out, or too much waits to be closed, nobody is let in for kAcceptPauseMs.
//
// Nobody may send descriptors here; whoever does is hung up on, and what it sent is closed by the Closer.
//
// Threads: the loop's. Nothing blocks. Lifetime: connections are named by id; one that has gone is simply not answered.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>

#include "base/limits.h"
#include "daemon/host/allowance.h"
#include "daemon/host/closer.h"
#include "daemon/host/event_loop.h"
#include "daemon/host/logger.h"
#include "daemon/host/users.h"
#include "protocol/control/channel.h"

namespace amalgam::daemon {

class Server {
 public:
  struct Connection {
    uint64_t id = 0;
    protocol::Channel channel;
    protocol::PeerCredentials peer;
    bool busy = false;    ///< a request waits for its answer
    bool waits = false;   ///< its user has asked too often
    bool paused = false;  ///< nothing is read meanwhile
  };
  using Handler = std::function<void(Connection&, protocol::Packet)>;

  struct Options {
    std::string path;
    mode_t mode = 0600;
    Bound connections{"connections", kMaxConnections, kMaxConnectionsPerUser, kReservedConnections,
                      "close some, or end programs (`amalgam ps`)"};
    /// Whose requests are not counted.
    std::function<bool(uid_t)> is_privileged = daemon::is_privileged;
    /// False in tests: as with a kernel that cannot forbid descriptors.
    bool forbids_descriptors = true;
  };
  /// Listens at a path, replacing what is left of an earlier socket; the caller holds the socket's lock.
  static Result<std::unique_ptr<Server>> listen(EventLoop& loop, Logger& log, Closer& closer, Options options);
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
  struct User {
    Allowance requests{kRequestsPerSecond, kRequestBurst};
    std::deque<uint64_t> waiting;  ///< connections
    EventLoop::TimerId timer = 0;
  };
  Server(EventLoop& loop, Logger& log, Closer& closer, Options options)
      : loop_(loop), log_(log), closer_(closer), options_(std::move(options)) {}
  Result<void> open_socket();
  void watch_socket();
  void pause_accepting();
  void accept_some();
  void accept_one(UniqueFd fd);
  Result<void> check_peer(const protocol::PeerCredentials& peer) const;
  void on_ready(uint64_t id, uint32_t events);
  void handle(Connection& connection, protocol::Packet packet);
  User& user_of(uid_t uid);
  void wait_for_turn(Connection& connection, User& user);
  void next_turns(uid_t uid);
  void pause(Connection& connection);
  void read_again(Connection& connection);
  void sent(Connection& connection, const Result<void>& result);
  std::unique_ptr<Connection> extract(uint64_t id);

  EventLoop& loop_;
  Logger& log_;
  Closer& closer_;
  Options options_;
  UniqueFd socket_;
  EventLoop::TimerId accept_timer_ = 0;  ///< until connections are taken again
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::map<uid_t, User> users_;  ///< of connections, and those who have asked a moment ago
  uint64_t next_id_ = 1;
};

}  // namespace amalgam::daemon
