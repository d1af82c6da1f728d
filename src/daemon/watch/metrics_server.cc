// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch/metrics_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

constexpr int kAcceptsPerTurn = 32;
constexpr std::string_view kPath = "/metrics";

/// "200 OK" and the like for the first line of a request.
const char* status_of(std::string_view request) {
  const std::string_view line = request.substr(0, request.find_first_of("\r\n"));
  const size_t method = line.find(' ');
  if (method == std::string_view::npos) return "400 Bad Request";
  const std::string_view target = line.substr(method + 1, line.find(' ', method + 1) - method - 1);
  if (target.substr(0, target.find('?')) != kPath) return "404 Not Found";
  return line.substr(0, method) == "GET" ? "200 OK" : "405 Method Not Allowed";
}

bool is_whole(std::string_view request) {
  return request.find("\r\n\r\n") != std::string_view::npos || request.find("\n\n") != std::string_view::npos;
}

}  // namespace

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(EventLoop& loop, const std::string& address, Render render) {
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  uint16_t port = 0;
  std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  std::unique_ptr<MetricsServer> server(new MetricsServer(loop, std::move(render)));
  if (auto opened = server->open_socket(host, port); !opened)
    return fail(Code::kUnavailable, "metrics: " + address + " cannot be listened at (" + opened.error().message +
                                        "); choose another with --metrics, or \"off\"");
  server->watch_socket();
  return server;
}

Result<void> MetricsServer::open_socket(const std::string& host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return fail(Code::kInvalidArgument, "no such address");
  socket_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) return fail(system_error("socket", errno));
  // Not SO_REUSEPORT: two daemons must not share a port unknowingly.
  const int yes = 1;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  auto* name = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (::bind(socket_.get(), name, size) != 0) return fail(system_error("bind", errno));
  if (::listen(socket_.get(), SOMAXCONN) != 0) return fail(system_error("listen", errno));
  if (::getsockname(socket_.get(), name, &size) != 0) return fail(system_error("name", errno));
  address_ = host + ":" + std::to_string(ntohs(address.sin_port));
  return {};
}

MetricsServer::~MetricsServer() {
  while (!connections_.empty()) close(connections_.begin()->first);
  if (accept_timer_ == 0 && socket_) loop_.unwatch(socket_.get());
  loop_.cancel(accept_timer_);
}

void MetricsServer::watch_socket() {
  auto watched = loop_.watch(socket_.get(), EPOLLIN, [this](uint32_t) { accept_some(); });
  if (!watched) pause_accepting();
}

void MetricsServer::pause_accepting() {
  loop_.unwatch(socket_.get());
  accept_timer_ = loop_.after_ms(kAcceptPauseMs, [this] {
    accept_timer_ = 0;
    watch_socket();
  });
}

void MetricsServer::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket) {
      accept_one(std::move(socket));
      continue;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    return errno == EAGAIN ? void() : pause_accepting();
  }
}

void MetricsServer::accept_one(UniqueFd socket) {
  if (connections_.size() >= kMetricsConnections) close(connections_.begin()->first);
  const uint64_t id = next_id_++;
  if (!loop_.watch(socket.get(), EPOLLIN, [this, id](uint32_t events) { on_ready(id, events); })) return;
  Connection& connection = connections_[id];
  connection.socket = std::move(socket);
  connection.timer = loop_.after_ms(kMetricsDeadlineMs, [this, id] { close(id); });
  // Most have asked already; those are not to be closed as the oldest.
  read_request(id, connection);
}

void MetricsServer::on_ready(uint64_t id, uint32_t events) {
  auto found = connections_.find(id);
  if (found == connections_.end()) return;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return close(id);
  Connection& connection = found->second;
  (events & EPOLLOUT) != 0 ? write_answer(id, connection) : read_request(id, connection);
}

void MetricsServer::read_request(uint64_t id, Connection& connection) {
  std::array<char, kMetricsRequestBytes> bytes;
  const ssize_t got = ::recv(connection.socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return close(id);
  if (!connection.head.empty()) return;  // it is answered; what else it says is read, so that the answer is not lost
  connection.request.append(bytes.data(), static_cast<size_t>(got));
  if (connection.request.size() > kMetricsRequestBytes) return close(id);
  if (!is_whole(connection.request)) return;
  answer(connection);
  write_answer(id, connection);
}

void MetricsServer::answer(Connection& connection) const {
  const std::string status = status_of(connection.request);
  if (status.starts_with("200")) {
    connection.body = render_();
  } else {
    connection.body = std::make_shared<const std::string>(status + ": there is GET " + std::string(kPath) + " alone\n");
  }
  connection.head = "HTTP/1.1 " + status + "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: " +
                    std::to_string(connection.body->size()) + "\r\nAllow: GET\r\nConnection: close\r\n\r\n";
}

void MetricsServer::write_answer(uint64_t id, Connection& connection) {
  const std::string& head = connection.head;
  const std::string& body = *connection.body;
  while (connection.sent < head.size() + body.size()) {
    const size_t of_head = std::min(connection.sent, head.size()), of_body = connection.sent - of_head;
    iovec parts[2] = {{const_cast<char*>(head.data()) + of_head, head.size() - of_head},
                      {const_cast<char*>(body.data()) + of_body, body.size() - of_body}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const ssize_t sent = ::sendmsg(connection.socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) return loop_.change(connection.socket.get(), EPOLLOUT);
    if (sent < 0) return close(id);
    connection.sent += static_cast<size_t>(sent);
  }
  ::shutdown(connection.socket.get(), SHUT_WR);
  loop_.change(connection.socket.get(), EPOLLIN);
}

void MetricsServer::close(uint64_t id) {
  auto node = connections_.extract(id);
  if (node.empty()) return;
  loop_.unwatch(node.mapped().socket.get());
  loop_.cancel(node.mapped().timer);
}

}  // namespace amalgam::daemon
