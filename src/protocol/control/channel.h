// SPDX-License-Identifier: Apache-2.0
// Channel: control messages over one Unix SOCK_SEQPACKET socket, with file descriptors beside them.
//
// A packet is [u16 type][u16 0][u32 0][fields]. Messages are bounded by kMaxControlBytes and kMaxControlFds. A message that
// comes with descriptors names them (M::Descriptors); received ones are close-on-exec and owned by the Packet, so those that
// nobody takes are closed.
//
// Threads: one sender and one receiver at a time, they may be two threads. Blocking: as each method says. No SIGPIPE.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "base/unique_fd.h"
#include "protocol/control/control.h"

namespace amalgam::protocol {

/// A message that descriptors come with: M::Descriptors<int> to send, M::Descriptors<UniqueFd> received.
template <typename M>
using DescriptorsToSend = typename M::template Descriptors<int>;
template <typename M>
using ReceivedDescriptors = typename M::template Descriptors<UniqueFd>;

inline constexpr size_t kHeadBytes = 8;  ///< of a packet, before its fields

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
  /// Takes the descriptors that come with M. kProtocol: there are more or fewer.
  template <typename M>
  Result<ReceivedDescriptors<M>> take() {
    ReceivedDescriptors<M> named;
    size_t count = 0;
    auto visit = [&](auto&... fd) {
      count = sizeof...(fd);
      if (fds.size() != count) return;
      size_t i = 0;
      ((fd = std::move(fds[i++])), ...);
    };
    named.fields(visit);
    if (fds.size() != count)
      return fail(Code::kProtocol,
                  std::to_string(fds.size()) + " descriptors came where there should be " + std::to_string(count));
    fds.clear();
    return named;
  }
  std::vector<UniqueFd> fds;

 private:
  friend class Channel;
  std::span<const std::byte> body() const { return {bytes_.get() + kHeadBytes, size_ - kHeadBytes}; }
  Error refusal() const;
  ControlType type_ = ControlType::kRefused;
  size_t size_ = kHeadBytes;
  std::unique_ptr<std::byte[]> bytes_;
};

/// What becomes of descriptors that come with a message.
enum class Passengers : uint8_t {
  kTake,
  kLeave,  ///< the message stays where it is: its descriptors are never ours, and go with the socket
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

  /// Connects to a listening socket and makes sure who serves it: root or our own effective user, or, where root has no
  /// number, whoever serves the system's own socket. kNotFound: no such path;
  /// kUnavailable: nobody listens; kPermissionDenied: somebody else does. Nothing has been sent then.
  static Result<Channel> connect(const std::string& path);

  /// Sends one message; blocks up to patience_ms on a full socket, then kUnavailable.
  template <typename M>
  Result<void> send(const M& message, int patience_ms = kSendPatienceMs) const {
    return send_encoded(message, {}, patience_ms);
  }
  /// The same with the descriptors that belong to it, which stay the caller's.
  template <typename M>
  Result<void> send_with(const M& message, DescriptorsToSend<M> named, int patience_ms = kSendPatienceMs) const {
    int fds[kMaxControlFds];
    size_t count = 0;
    auto visit = [&](auto&... fd) {
      static_assert(sizeof...(fd) <= kMaxControlFds);
      ((fds[count++] = fd), ...);
    };
    named.fields(visit);
    return send_encoded(message, {fds, count}, patience_ms);
  }

  /// Waits up to timeout_ms (-1: for ever) for one message. kTimeout; kUnavailable: the peer hung up; kLimit: its
  /// descriptors find no room in this process, and the message is gone; kProtocol: oversized, or with descriptors that are
  /// not to be taken; then nothing more can be received.
  Result<Packet> receive(int timeout_ms, Passengers passengers = Passengers::kTake) const;

  /// send, then receive as R.
  template <typename R, typename M>
  Result<R> call(const M& message, int timeout_ms) const {
    if (auto sent = send(message); !sent) return std::unexpected(sent.error());
    auto packet = receive(timeout_ms);
    if (!packet) return std::unexpected(packet.error());
    return packet->template as<R>();
  }
  /// The same where descriptors come with R.
  template <typename R, typename M>
  Result<R> call(const M& message, int timeout_ms, ReceivedDescriptors<R>& named) const {
    if (auto sent = send(message); !sent) return std::unexpected(sent.error());
    auto packet = receive(timeout_ms);
    if (!packet) return std::unexpected(packet.error());
    auto reply = packet->template as<R>();
    if (!reply) return reply;
    auto taken = packet->template take<R>();
    if (!taken) return std::unexpected(std::move(taken.error()));
    named = std::move(*taken);
    return reply;
  }

  Result<PeerCredentials> peer() const;
  int fd() const { return socket_.get(); }
  int release() { return socket_.release(); }
  explicit operator bool() const { return static_cast<bool>(socket_); }

 private:
  static constexpr int kSendPatienceMs = 1000;
  static constexpr size_t kSmallBytes = 1024;  ///< messages up to here need no memory

  template <typename M>
  Result<void> send_encoded(const M& message, std::span<const int> fds, int patience_ms) const {
    const size_t size = kHeadBytes + encoded_size(message);
    if (size > kMaxControlBytes) return fail(Code::kLimit, "control message is over control-message-bytes");
    alignas(8) std::byte small[kSmallBytes];
    std::unique_ptr<std::byte[]> large;
    if (size > kSmallBytes) large = std::make_unique_for_overwrite<std::byte[]>(size);
    std::span<std::byte> packet(large != nullptr ? large.get() : small, size);
    encode(message, packet.subspan(kHeadBytes));
    return send_raw(M::kType, packet, fds, patience_ms);
  }
  Result<void> send_raw(ControlType type, std::span<std::byte> packet, std::span<const int> fds, int patience_ms) const;
  UniqueFd socket_;
};

/// The daemon's socket that this process was told of: $AMALGAM_SOCKET, else that of its slice file (slice_file.h); empty if
/// there is neither. A program with more rights than its caller does not look at the environment.
std::string named_socket_path();
/// The daemon's socket that this process should use: the named one, else the system's (/run/amalgam/amalgamd.sock) if it
/// is there, else the user's ($XDG_RUNTIME_DIR/amalgam/amalgamd.sock, or /tmp/amalgam-<uid>/amalgamd.sock).
std::string default_socket_path();
/// The per-user path alone, whether or not it exists.
std::string user_socket_path();

}  // namespace amalgam::protocol
