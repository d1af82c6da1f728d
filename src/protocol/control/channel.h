// SPDX-License-Identifier: Apache-2.0
// Channel: control messages over one Unix SOCK_SEQPACKET socket, with file descriptors beside them.
//
// A packet is [u16 type][u16 0][u32 0][fields]. Messages are bounded by kMaxControlBytes and kMaxControlFds; received
// descriptors are close-on-exec and owned by the Packet, so those that nobody takes are closed.
//
// Threads: one sender and one receiver at a time, they may be two threads. Blocking: as each method says. No SIGPIPE.
#pragma once

#include <sys/types.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "base/unique_fd.h"
#include "protocol/control/control.h"

namespace amalgam::protocol {

/// One received message.
class Packet {
 public:
  ControlType type() const { return type_; }
  /// Decodes as M; a Refused packet becomes its error, another type or a short one Code::kProtocol.
  template <typename M>
  Result<M> as() const {
    if (type_ == ControlType::kRefused && M::kType != ControlType::kRefused) return std::unexpected(refusal());
    M message;
    if (type_ != M::kType || !decode(body(), message))
      return fail(Code::kProtocol, "unexpected or malformed control message");
    return message;
  }
  std::vector<UniqueFd> fds;

 private:
  friend class Channel;
  std::span<const std::byte> body() const { return {bytes_.get() + 8, size_ - 8}; }
  Error refusal() const;
  ControlType type_ = ControlType::kRefused;
  size_t size_ = 8;
  std::unique_ptr<std::byte[]> bytes_;
};

/// Who is at the other end, as the kernel says.
struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

class Channel {
 public:
  Channel() = default;
  explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}

  /// Connects to a listening socket. kNotFound: no such path; kUnavailable: nobody listens.
  static Result<Channel> connect(const std::string& path);

  /// Sends one message; blocks up to patience_ms on a full socket, then kUnavailable. The fds stay the caller's.
  template <typename M>
  Result<void> send(const M& message, std::span<const int> fds = {}, int patience_ms = kSendPatienceMs) const {
    auto buffer = std::make_unique_for_overwrite<std::byte[]>(kMaxControlBytes);
    BasicEncoder encoder{Room({buffer.get() + 8, kMaxControlBytes - 8})};
    encoder(message);
    if (!encoder.sink().ok()) return fail(Code::kLimit, "control message is over control-message-bytes");
    return send_raw(M::kType, {buffer.get(), encoder.sink().size() + 8}, fds, patience_ms);
  }

  /// Waits up to timeout_ms (-1: for ever) for one message. kTimeout; kUnavailable: the peer hung up; kProtocol: oversized.
  Result<Packet> receive(int timeout_ms) const;

  /// send, then receive as R.
  template <typename R, typename M>
  Result<R> call(const M& message, int timeout_ms, std::vector<UniqueFd>* fds = nullptr) const {
    if (auto sent = send(message); !sent) return std::unexpected(sent.error());
    auto packet = receive(timeout_ms);
    if (!packet) return std::unexpected(packet.error());
    auto reply = packet->template as<R>();
    if (reply && fds != nullptr) *fds = std::move(packet->fds);
    return reply;
  }

  Result<PeerCredentials> peer() const;
  int fd() const { return socket_.get(); }
  int release() { return socket_.release(); }
  explicit operator bool() const { return static_cast<bool>(socket_); }

 private:
  static constexpr int kSendPatienceMs = 1000;
  Result<void> send_raw(ControlType type, std::span<std::byte> packet, std::span<const int> fds, int patience_ms) const;
  UniqueFd socket_;
};

/// The daemon's socket that this process should use: $AMALGAM_SOCKET, else the system's (/run/amalgam/amalgamd.sock) if it
/// is there, else the user's ($XDG_RUNTIME_DIR/amalgam/amalgamd.sock, or /tmp/amalgam-<uid>/amalgamd.sock).
std::string default_socket_path();
/// The per-user path alone, whether or not it exists.
std::string user_socket_path();

}  // namespace amalgam::protocol
