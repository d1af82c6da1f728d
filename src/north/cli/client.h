// SPDX-License-Identifier: Apache-2.0
// Client: the command line's side of the control channel. Every verb reaches the pool through it, with whole answers
// (pages joined) and errors that say what to do next.
//
// Threads: one at a time. Blocking: each request waits for its answer, at most kAnswerMs where nothing else is said.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "protocol/control/channel.h"
#include "protocol/control/drain.h"
#include "protocol/control/events.h"
#include "protocol/control/explain.h"
#include "protocol/control/move.h"

namespace amalgam::cli {

/// A daemon that is still probing its drivers answers late, but not later than the probe's own bound.
inline constexpr int kAnswerMs = 90'000;
inline constexpr int kForEver = -1;

class Client {
 public:
  /// `socket` as the user gave it; empty: default_socket_path(), and where nobody answers there, the user's own. kNotFound:
  /// no socket was named (here or by AMALGAM_SOCKET), and no daemon runs; kUnavailable: nobody answers at the one that was.
  static Result<Client> connect(const std::string& socket);

  Result<std::vector<protocol::DeviceEntry>> devices() const;
  Result<std::vector<protocol::SessionEntry>> sessions() const;
  Result<protocol::StatusReport> status() const { return call<protocol::StatusReport>(protocol::GetStatus{}); }
  Result<std::string> metrics() const;
  /// One device of a session's slice.
  Result<protocol::Explanation> explanation(const protocol::Explain& question) const {
    return call<protocol::Explanation>(question);
  }
  /// Every device, each with its `most` last decisions.
  Result<std::vector<protocol::Explanation>> explanations(uint64_t session, uint64_t most) const;
  /// The slice lives while this client does.
  Result<protocol::SliceCreated> create_slice(const protocol::CreateSlice& wish) const {
    return call<protocol::SliceCreated>(wish);
  }
  /// All that is named, or nothing: then the error is the daemon's reason.
  Result<void> set_slice(const protocol::SetSlice& change) const;
  /// Waits until the session is there, or has stayed.
  Result<protocol::SessionMoved> move_session(const protocol::MoveSession& wish) const {
    constexpr int kLongestMs = 2 * kMoveMs + kHandOverMs;
    return call<protocol::SessionMoved>(wish, kAnswerMs + kLongestMs);
  }
  /// All after a number that this user may know of.
  Result<protocol::EventList> events(uint64_t after) const;
  /// The same; where there are none it waits until there are.
  Result<protocol::EventList> next_events(uint64_t after) const {
    return call<protocol::EventList>(protocol::ListEvents{.after = after, .wait = true}, kForEver);
  }
  /// Begins to drain a device; the first report.
  Result<protocol::DrainReport> drain(const protocol::DrainDevice& wish) const { return call<protocol::DrainReport>(wish); }
  /// Waits for the next one.
  Result<protocol::DrainReport> watch_drain(const std::string& device, uint64_t seen) const {
    return call<protocol::DrainReport>(protocol::WatchDrain{.device = device, .seen = seen}, kForEver);
  }
  Result<protocol::Done> undrain(const std::string& device) const {
    return call<protocol::Done>(protocol::UndrainDevice{.device = device});
  }
  /// Asks for the end and waits, at most ten seconds, until the daemon has gone.
  Result<void> shutdown() const;

  /// Where the daemon answered.
  const std::string& socket() const { return socket_; }

 private:
  Client(protocol::Channel channel, std::string socket) : channel_(std::move(channel)), socket_(std::move(socket)) {}
  template <typename R, typename M>
  Result<R> call(const M& message, int timeout_ms = kAnswerMs) const {
    auto sent = channel_.send(message);
    auto packet = sent ? channel_.receive(timeout_ms) : Result<protocol::Packet>(std::unexpected(std::move(sent.error())));
    if (!packet) return fail(say(std::move(packet.error())));
    return packet->template as<R>();  // what the daemon refuses it says itself
  }
  /// What is wrong with the connection, in words.
  Error say(Error error) const;

  protocol::Channel channel_;
  std::string socket_;
};

}  // namespace amalgam::cli
