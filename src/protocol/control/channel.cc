// SPDX-License-Identifier: Apache-2.0
#include "protocol/control/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "protocol/control/attach.h"
#include "protocol/control/slice_file.h"

namespace amalgam::protocol {
namespace {

constexpr const char* kSystemSocket = "/run/amalgam/amalgamd.sock";
constexpr uid_t kNobodyHere = 65534;       ///< whoever has no number in this name space of users
constexpr timeval kConnectPatience{1, 0};  // a listener that accepts nobody would hold us for ever

/// A daemon sees what we send, and hands out the memory that programs work in. Others may have been first at a path in /tmp;
/// the kernel knows who began to listen, whatever lies at the path now.
Result<void> check_server(const Channel& channel, const std::string& path) {
  auto server = channel.peer();
  if (!server) return std::unexpected(std::move(server.error()));
  const uid_t own = ::geteuid();
  if (server->uid == 0 || server->uid == own) return {};
  // A contained program of an ordinary user has no number for root. This one place only root makes files in.
  if (server->uid == kNobodyHere && path == kSystemSocket) return {};
  return fail(Code::kPermissionDenied, path + " is served by user id " + std::to_string(server->uid) +
                                           ", which is neither root nor yours (" + std::to_string(own) +
                                           "); set AMALGAM_SOCKET to the socket of a daemon that root or you have started");
}

/// The environment of a program that has more rights than its caller is the caller's.
const char* trusted_variable(const char* name) {
  const char* value = ::secure_getenv(name);
  return value != nullptr && *value != 0 ? value : nullptr;
}

}  // namespace

Error Packet::refusal() const {
  Refused refused;
  if (!decode(body(), refused) || !is_failure(refused.code)) return Error(Code::kProtocol, "malformed refusal");
  return Error(refused.code, std::move(refused.message));
}

Result<Channel> Channel::connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(Code::kInvalidArgument, "socket path is too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) return fail(system_error("socket", errno));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kConnectPatience, sizeof kConnectPatience);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(system_error("connect " + path, errno));
  Channel channel(std::move(socket));
  if (auto trusted = check_server(channel, path); !trusted) return std::unexpected(std::move(trusted.error()));
  return channel;
}

Result<void> Channel::send_raw(ControlType type, std::span<std::byte> packet, std::span<const int> fds,
                               int patience_ms) const {
  std::memset(packet.data(), 0, kHeadBytes);
  std::memcpy(packet.data(), &type, sizeof type);
  iovec part{packet.data(), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxControlFds)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fds.size() > kMaxControlFds) return fail(Code::kLimit, "more descriptors than control-message-fds");
  attach(message, control, fds);
  constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  for (;;) {
    // Workers may only send what carries no descriptors.
    ssize_t sent = fds.empty() ? ::send(socket_.get(), packet.data(), packet.size(), kFlags)
                               : ::sendmsg(socket_.get(), &message, kFlags);
    if (sent >= 0) return {};
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fail(system_error("send", errno));
    pollfd ready{socket_.get(), POLLOUT, 0};
    int n = ::poll(&ready, 1, patience_ms);
    if (n == 0) return fail(Code::kUnavailable, "send: the peer does not read");
  }
}

Result<Packet> Channel::receive(int timeout_ms, Passengers passengers) const {
  pollfd ready{socket_.get(), POLLIN, 0};
  for (;;) {
    int n = ::poll(&ready, 1, timeout_ms);
    if (n > 0) break;
    if (n == 0) return fail(Code::kTimeout, "no answer in time");
    if (errno != EINTR) return fail(system_error("poll", errno));
  }
  // The size is asked for first: most messages are small and a packet owns no more than it needs. Where there is no room for
  // descriptors the kernel says that there would be some.
  msghdr look{};
  ssize_t size = ::recvmsg(socket_.get(), &look, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  if (size < 0) return fail(system_error("receive", errno));
  if (passengers == Passengers::kLeave && (look.msg_flags & MSG_CTRUNC) != 0)
    return fail(Code::kProtocol, "descriptors came with a message that takes none");
  if (static_cast<uint64_t>(size) > kMaxControlBytes)
    return fail(Code::kProtocol, "control message is over control-message-bytes");
  Packet packet;
  size_t room = std::max(kHeadBytes, static_cast<size_t>(size));
  packet.bytes_ = std::make_unique<std::byte[]>(room);
  iovec part{packet.bytes_.get(), room};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxControlFds)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (passengers == Passengers::kTake) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
  }
  ssize_t got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got < 0) return fail(system_error("receive", errno));
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof fd);
      packet.fds.emplace_back(fd);
    }
  }
  if (got == 0) return fail(Code::kUnavailable, "the peer hung up");
  // What the kernel could not put into our table of descriptors it leaves out.
  if ((message.msg_flags & MSG_CTRUNC) != 0 && packet.fds.size() < kMaxControlFds)
    return fail(
        Code::kLimit,
        "this process has too few free descriptors to take those of a message; close some, or raise the limit (ulimit -n)");
  if (got < static_cast<ssize_t>(kHeadBytes) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return fail(Code::kProtocol, "malformed control message");
  std::memcpy(&packet.type_, packet.bytes_.get(), sizeof packet.type_);
  packet.size_ = static_cast<size_t>(got);
  return packet;
}

Result<PeerCredentials> Channel::peer() const {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return fail(system_error("peer credentials", errno));
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

std::string user_socket_path() {
  if (const char* runtime = trusted_variable("XDG_RUNTIME_DIR")) return std::string(runtime) + "/amalgam/amalgamd.sock";
  return "/tmp/amalgam-" + std::to_string(::geteuid()) + "/amalgamd.sock";
}

std::string named_socket_path() {
  if (const char* named = trusted_variable("AMALGAM_SOCKET")) return named;
  return read_slice_file().socket;
}

std::string default_socket_path() {
  if (std::string named = named_socket_path(); !named.empty()) return named;
  if (::faccessat(AT_FDCWD, kSystemSocket, W_OK, AT_EACCESS) == 0) return kSystemSocket;
  return user_socket_path();
}

}  // namespace amalgam::protocol
