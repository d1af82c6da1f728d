// SPDX-License-Identifier: Apache-2.0
#include "daemon/turns/voices.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

namespace amalgam::daemon {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;

}  // namespace

Result<void> wait_for_edges(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) return fail(system_error("watch", errno));
  return {};
}

Result<void> Voices::listen(int fd, uint64_t session, bool knocks) {
  if (auto watched = wait_for_edges(epoll_, fd); !watched) return watched;
  voices_.insert_or_assign(fd, Voice{.who = {session, knocks}});
  return {};
}

void Voices::forget(uint64_t session) {
  std::erase_if(voices_, [&](const auto& entry) {
    const auto& [fd, voice] = entry;
    if (voice.who.session != session) return false;
    if (voice.deaf_until_ns == 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    return true;
  });
}

std::optional<Voices::Heard> Voices::hear(int fd, uint64_t now_ns) {
  auto found = voices_.find(fd);
  if (found == voices_.end()) return std::nullopt;
  Voice& voice = found->second;
  voice.wakes.spend(1);
  if (voice.wakes.there(now_ns / kNsPerMs) == 0) ignore(fd, now_ns + kDeafMs * kNsPerMs);
  return voice.who;
}

void Voices::ignore(int fd, uint64_t until_ns) {
  auto found = voices_.find(fd);
  if (found == voices_.end()) return;
  if (found->second.deaf_until_ns == 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  found->second.deaf_until_ns = std::max(found->second.deaf_until_ns, until_ns);
}

uint64_t Voices::listen_again(uint64_t now_ns) {
  uint64_t next = UINT64_MAX;
  for (auto& [fd, voice] : voices_) {
    if (voice.deaf_until_ns == 0) continue;
    // Should it be refused (no memory), it is tried again.
    if (now_ns < voice.deaf_until_ns || !wait_for_edges(epoll_, fd))
      next = std::min(next, std::max(voice.deaf_until_ns, now_ns + kNsPerMs));
    else
      voice.deaf_until_ns = 0;
  }
  return next;
}

}  // namespace amalgam::daemon
