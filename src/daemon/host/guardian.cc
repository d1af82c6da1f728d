// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/guardian.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/limits.h"
#include "daemon/host/guardian_process.h"

namespace amalgam::daemon {
namespace {

constexpr int kPatienceMs = 5000;  ///< for the guardian of an earlier daemon, which does nothing else

constexpr int kKeepMs = 100;  ///< for ours, when it is given much at once

/// Names a socket by an open folder, since a whole path may be too long for an address.
struct Place {
  UniqueFd folder;
  sockaddr_un address{};
};

Result<Place> place_of(const std::filesystem::path& socket) {
  Place place;
  place.folder.reset(::open(socket.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!place.folder) return fail(system_error("open " + socket.parent_path().string(), errno));
  std::string name = "/proc/self/fd/" + std::to_string(place.folder.get()) + "/" + socket.filename().string();
  place.address.sun_family = AF_UNIX;
  if (name.size() >= sizeof place.address.sun_path) return fail(Code::kInvalidArgument, "too long a name: " + name);
  std::memcpy(place.address.sun_path, name.c_str(), name.size() + 1);
  return place;
}

const sockaddr* address_of(const Place& place) { return reinterpret_cast<const sockaddr*>(&place.address); }

Result<UniqueFd> listen_at(const std::filesystem::path& socket) {
  auto place = place_of(socket);
  if (!place) return std::unexpected(std::move(place.error()));
  UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!listener) return fail(system_error("socket", errno));
  ::unlink(socket.c_str());
  mode_t before = ::umask(0177);
  int bound = ::bind(listener.get(), address_of(*place), sizeof place->address);
  int error = errno;
  ::umask(before);
  if (bound != 0) return fail(system_error("bind " + socket.string(), error));
  if (::listen(listener.get(), 1) != 0) return fail(system_error("listen at " + socket.string(), errno));
  return listener;
}

/// Nothing if nobody listens.
protocol::Channel connect_to(const std::filesystem::path& socket) {
  auto place = place_of(socket);
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!place || !fd || ::connect(fd.get(), address_of(*place), sizeof place->address) != 0) return {};
  protocol::Channel channel(std::move(fd));
  auto peer = channel.peer();
  return peer && peer->uid == ::geteuid() ? std::move(channel) : protocol::Channel();
}

}  // namespace

Result<std::vector<Guardian::Kept>> Guardian::take_over() {
  set_channel(connect_to(socket_));
  if (channel_) {
    if (auto kept = receive_all()) return kept;
    // One that does not answer is stuck or of another version: another one, and sessions that nobody kept.
  }
  if (auto started = start(); !started) return std::unexpected(std::move(started.error()));
  return std::vector<Kept>();
}

Result<std::vector<Guardian::Kept>> Guardian::receive_all() {
  std::vector<Kept> all;
  for (;;) {
    auto packet = channel_.receive(kPatienceMs);
    if (!packet) return std::unexpected(std::move(packet.error()));
    if (packet->type() == protocol::ControlType::kDone) return all;
    auto keep = packet->as<protocol::Keep>();
    if (!keep) return std::unexpected(std::move(keep.error()));
    auto ends = packet->take<protocol::Keep>();
    if (!ends) return std::unexpected(std::move(ends.error()));
    all.push_back({keep->session, keep->heap_bytes, std::move(*ends)});
  }
}

Result<void> Guardian::start() {
  auto listener = listen_at(socket_);
  if (!listener) return fail(std::move(listener.error()).within("guardian"));
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail(system_error("guardian", errno));
  UniqueFd ours(ends[0]), theirs(ends[1]);
  // Forked twice: the guardian is nobody's child, so nobody has to wait for it.
  pid_t child = ::fork();
  if (child < 0) return fail(system_error("start the guardian", errno));
  if (child == 0) {
    ::close(ours.get());
    if (::fork() == 0) guard(theirs.get(), listener->get());
    ::_exit(0);
  }
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  set_channel(protocol::Channel(std::move(ours)));
  return {};
}

void Guardian::set_channel(protocol::Channel channel) {
  UniqueFd probe(channel ? ::fcntl(channel.fd(), F_DUPFD_CLOEXEC, 0) : -1);
  {
    std::lock_guard lock(probe_mutex_);
    probe_ = std::move(probe);
  }
  std::lock_guard lock(mutex_);
  channel_ = std::move(channel);
}

Result<void> Guardian::replace() { return start(); }

bool Guardian::keep(const protocol::Keep& what, const protocol::DescriptorsToSend<protocol::Keep>& ends) {
  std::lock_guard lock(mutex_);
  return channel_.send_with(what, ends, kKeepMs).has_value();
}

void Guardian::forget(uint64_t session) {
  std::lock_guard lock(mutex_);
  (void)channel_.send(protocol::Forget{session}, 0);
}

bool Guardian::alive() const {
  std::lock_guard lock(probe_mutex_);
  pollfd peer{probe_.get(), 0, 0};
  return probe_ && ::poll(&peer, 1, 0) == 0;
}

}  // namespace amalgam::daemon
