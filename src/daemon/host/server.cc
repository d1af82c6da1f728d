// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

constexpr int kAcceptsPerTurn = 32;
constexpr int kRequestsPerTurn = 16;

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(EventLoop& loop, spdlog::logger& log, const std::string& path, mode_t mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::kInvalidArgument, "socket path " + path + " is longer than " +
                                            std::to_string(sizeof address.sun_path - 1) +
                                            " characters; choose a shorter one with --socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  std::unique_ptr<Server> server(new Server(loop, log, path));
  server->socket_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  server->reserve_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!server->socket_) return fail(system_error("socket", errno));
  ::unlink(path.c_str());
  // Nobody may connect between bind and chmod.
  mode_t before = ::umask(0177);
  int bound = ::bind(server->socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  int error = errno;
  ::umask(before);
  if (bound != 0) return fail(system_error("bind " + path, error));
  if (::chmod(path.c_str(), mode) != 0 || ::listen(server->socket_.get(), SOMAXCONN) != 0)
    return fail(system_error("listen at " + path, errno));
  Server* self = server.get();
  AMALGAM_TRY(loop.watch(self->socket_.get(), EPOLLIN, [self](uint32_t) { self->accept_some(); }), "listen");
  return server;
}

Server::~Server() {
  stop_listening();
  for (auto& [id, connection] : connections_) loop_.unwatch(connection->channel.fd());
}

void Server::stop_listening() {
  if (!socket_) return;
  loop_.unwatch(socket_.get());
  socket_.reset();
  ::unlink(path_.c_str());
}

void Server::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn && socket_; ++i) {
    UniqueFd fd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd && (errno == EMFILE || errno == ENFILE)) return accept_over_limit();
    if (!fd) return;
    auto connection = std::make_unique<Connection>();
    connection->id = next_id_++;
    connection->channel = protocol::Channel(std::move(fd));
    auto peer = connection->channel.peer();
    if (!peer) continue;
    connection->peer = *peer;
    if (connections_.size() >= kMaxConnections) {
      (void)connection->channel.send(protocol::Refused{Code::kLimit, "connections: the daemon has as many as it takes"}, 0);
      continue;
    }
    uint64_t id = connection->id;
    auto watched =
        loop_.watch(connection->channel.fd(), EPOLLIN | EPOLLRDHUP, [this, id](uint32_t events) { on_ready(id, events); });
    if (!watched) continue;
    connections_.emplace(id, std::move(connection));
    if (on_opened) on_opened();
  }
}

void Server::accept_over_limit() {
  log_.error("out of file descriptors: a connection is turned away; raise LimitNOFILE");
  reserve_.reset();
  UniqueFd turned_away(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  turned_away.reset();
  reserve_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

Server::Connection* Server::find(uint64_t id) {
  auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Server::on_ready(uint64_t id, uint32_t events) {
  for (int i = 0; i < kRequestsPerTurn; ++i) {
    Connection* connection = find(id);
    if (connection == nullptr) return;
    if (connection->busy) {
      if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) return close(id);
      connection->paused = true;
      return loop_.change(connection->channel.fd(), EPOLLRDHUP);
    }
    auto packet = connection->channel.receive(0);
    if (!packet && packet.error().code == Code::kTimeout) return;
    if (!packet) return close(id);
    connection->busy = true;
    handler(*connection, std::move(*packet));
  }
}

void Server::sent(Connection& connection, const Result<void>& result) {
  uint64_t id = connection.id;
  if (!result) {
    if (result.error().code == Code::kLimit) log_.error("an answer is too large: {}", result.error().text());
    return loop_.later([this, id] { close(id); });
  }
  connection.busy = false;
  if (!connection.paused) return;
  connection.paused = false;
  loop_.change(connection.channel.fd(), EPOLLIN | EPOLLRDHUP);
}

void Server::close(uint64_t id) {
  auto node = connections_.extract(id);
  if (node.empty()) return;
  loop_.unwatch(node.mapped()->channel.fd());
  if (on_closed) on_closed(id);
}

}  // namespace amalgam::daemon
