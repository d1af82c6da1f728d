// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "protocol/link/ring.h"

namespace amalgam::daemon {
namespace {

constexpr int kAcceptsPerTurn = 32;
constexpr int kRequestsPerTurn = 16;
constexpr uint64_t kTurnMs = 20;         ///< how often those who wait for their turn are looked at
constexpr size_t kRememberedUsers = 64;  ///< users who have gone are forgotten when there are more

uint64_t monotonic_us() { return protocol::monotonic_ns() / 1000; }

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(EventLoop& loop, Logger& log, Closer& closer, Options options) {
  std::unique_ptr<Server> server(new Server(loop, log, closer, std::move(options)));
  AMALGAM_TRY(server->open_socket(), "listen");
  server->watch_socket();
  return server;
}

Result<void> Server::open_socket() {
  const std::string& path = options_.path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::kInvalidArgument, "socket path " + path + " is longer than " +
                                            std::to_string(sizeof address.sun_path - 1) +
                                            " characters; choose a shorter one with --socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail(system_error("socket", errno));
  if (options_.forbids_descriptors) forbid_descriptors(socket.get());
  // What an earlier daemon left may go, and nothing else.
  struct stat there{};
  if (::lstat(path.c_str(), &there) == 0 && !S_ISSOCK(there.st_mode))
    return fail(Code::kInvalidArgument, path + " is there and is no socket; choose another place with --socket");
  ::unlink(path.c_str());
  // Nobody may connect between bind and chmod.
  mode_t before = ::umask(0177);
  int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  int error = errno;
  ::umask(before);
  if (bound != 0) return fail(system_error("bind " + path, error));
  socket_ = std::move(socket);  // whose path goes with it
  if (::chmod(path.c_str(), options_.mode) != 0 || ::listen(socket_.get(), SOMAXCONN) != 0)
    return fail(system_error("listen at " + path, errno));
  return {};
}

Server::~Server() {
  stop_listening();
  for (auto& [uid, user] : users_) loop_.cancel(user.timer);
  while (!connections_.empty()) {
    auto connection = extract(connections_.begin()->first);
    closer_.close(connection->peer.uid, UniqueFd(connection->channel.release()));
  }
}

void Server::stop_listening() {
  if (!socket_) return;
  if (accept_timer_ == 0) loop_.unwatch(socket_.get());
  loop_.cancel(std::exchange(accept_timer_, 0));
  socket_.reset();
  ::unlink(options_.path.c_str());
}

// ---- who comes in -------------------------------------------------------------------------------------------------------

void Server::watch_socket() {
  auto watched = loop_.watch(socket_.get(), EPOLLIN, [this](uint32_t) { accept_some(); });
  if (!watched) pause_accepting();
}

void Server::pause_accepting() {
  loop_.unwatch(socket_.get());
  accept_timer_ = loop_.after_ms(kAcceptPauseMs, [this] {
    accept_timer_ = 0;
    watch_socket();
  });
}

void Server::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn && socket_; ++i) {
    if (closer_.waiting() >= kMaxClosing) {
      log_.error("too many connections wait to be closed; no more are taken for {} ms", kAcceptPauseMs);
      return pause_accepting();
    }
    UniqueFd fd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd) {
      accept_one(std::move(fd));
      continue;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    if (errno == EAGAIN) return;
    // Whoever waits is still there when there are descriptors again.
    log_.error("connections cannot be taken for {} ms: {}; raise LimitNOFILE", kAcceptPauseMs, std::strerror(errno));
    return pause_accepting();
  }
}

Result<void> Server::check_peer(const protocol::PeerCredentials& peer) const {
  const bool privileged = options_.is_privileged(peer.uid);
  if (uint64_t waiting = closer_.waiting(peer.uid); waiting >= kMaxClosingPerUser && !privileged)
    return fail(Code::kLimit, "closing-per-user: you have left " + std::to_string(waiting) +
                                  " connections with descriptors in them; send none, and wait until they are closed");
  Census now;
  for (const auto& [id, connection] : connections_) {
    const uid_t owner = connection->peer.uid;
    now.count(owner, peer.uid, options_.is_privileged(owner));
  }
  return check_room(options_.connections, now, privileged);
}

void Server::accept_one(UniqueFd fd) {
  auto connection = std::make_unique<Connection>();
  connection->id = next_id_++;
  connection->channel = protocol::Channel(std::move(fd));
  if (options_.forbids_descriptors) forbid_descriptors(connection->channel.fd());
  if (auto peer = connection->channel.peer()) connection->peer = *peer;
  const uint64_t id = connection->id;
  auto welcome = check_peer(connection->peer);
  if (welcome)
    welcome =
        loop_.watch(connection->channel.fd(), EPOLLIN | EPOLLRDHUP, [this, id](uint32_t events) { on_ready(id, events); });
  if (!welcome) {
    (void)connection->channel.send(protocol::Refused{welcome.error().code, welcome.error().message}, 0);
    return closer_.close(connection->peer.uid, UniqueFd(connection->channel.release()));
  }
  connections_.emplace(id, std::move(connection));
  if (on_opened) on_opened();
}

// ---- what they ask ------------------------------------------------------------------------------------------------------

Server::Connection* Server::find(uint64_t id) {
  auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

Server::User& Server::user_of(uid_t uid) {
  auto found = users_.find(uid);
  if (found != users_.end()) return found->second;
  if (users_.size() >= kRememberedUsers)
    std::erase_if(users_, [now = monotonic_ms()](const auto& entry) {
      return entry.second.timer == 0 && entry.second.requests.full(now);
    });
  return users_[uid];
}

void Server::pause(Connection& connection) {
  if (std::exchange(connection.paused, true)) return;
  loop_.change(connection.channel.fd(), EPOLLRDHUP);
}

void Server::read_again(Connection& connection) {
  if (connection.busy || connection.waits || !std::exchange(connection.paused, false)) return;
  loop_.change(connection.channel.fd(), EPOLLIN | EPOLLRDHUP);
}

void Server::wait_for_turn(Connection& connection, User& user) {
  connection.waits = true;
  pause(connection);
  user.waiting.push_back(connection.id);
  const uid_t uid = connection.peer.uid;
  if (user.timer == 0) user.timer = loop_.after_ms(kTurnMs, [this, uid] { next_turns(uid); });
}

void Server::next_turns(uid_t uid) {
  User& user = users_.at(uid);
  user.timer = 0;
  for (uint64_t left = user.requests.there(monotonic_ms()); left != 0 && !user.waiting.empty(); --left) {
    Connection& connection = *connections_.at(user.waiting.front());
    user.waiting.pop_front();
    connection.waits = false;
    read_again(connection);
  }
  if (!user.waiting.empty()) user.timer = loop_.after_ms(kTurnMs, [this, uid] { next_turns(uid); });
}

void Server::on_ready(uint64_t id, uint32_t events) {
  for (int i = 0; i < kRequestsPerTurn; ++i) {
    Connection* connection = find(id);
    if (connection == nullptr) return;
    if (connection->busy || connection->waits) {
      if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) return close(id);
      return pause(*connection);
    }
    if (!options_.is_privileged(connection->peer.uid)) {
      User& user = user_of(connection->peer.uid);
      if (user.requests.there(monotonic_ms()) == 0) return wait_for_turn(*connection, user);
    }
    auto packet = connection->channel.receive(0, protocol::Passengers::kLeave);
    if (!packet && packet.error().code == Code::kTimeout) return;
    if (!packet) return close(id);
    connection->busy = true;
    handle(*connection, std::move(*packet));
  }
}

void Server::handle(Connection& connection, protocol::Packet packet) {
  if (options_.is_privileged(connection.peer.uid)) return handler(connection, std::move(packet));
  User& user = user_of(connection.peer.uid);
  const uint64_t begin_us = monotonic_us();
  handler(connection, std::move(packet));
  user.requests.spend(1 + (monotonic_us() - begin_us) / kRequestCostUs);
}

void Server::sent(Connection& connection, const Result<void>& result) {
  uint64_t id = connection.id;
  if (!result) {
    if (result.error().code == Code::kLimit) log_.error("an answer is too large: {}", result.error().text());
    return loop_.later([this, id] { close(id); });
  }
  connection.busy = false;
  read_again(connection);
}

// ---- who leaves ---------------------------------------------------------------------------------------------------------

std::unique_ptr<Server::Connection> Server::extract(uint64_t id) {
  auto node = connections_.extract(id);
  if (node.empty()) return nullptr;
  std::unique_ptr<Connection> connection = std::move(node.mapped());
  loop_.unwatch(connection->channel.fd());
  if (connection->waits) std::erase(users_.at(connection->peer.uid).waiting, id);
  return connection;
}

void Server::close(uint64_t id) {
  auto connection = extract(id);
  if (connection == nullptr) return;
  closer_.close(connection->peer.uid, UniqueFd(connection->channel.release()));
  if (on_closed) on_closed(id);
}

}  // namespace amalgam::daemon
