// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/unique_fd.h"

namespace amalgam::daemon {
namespace {

/// A whole number of the environment; 0: there is none.
uint64_t number(const char* name) {
  const char* text = ::getenv(name);
  uint64_t value = 0;
  if (text == nullptr) return 0;
  const char* end = text + std::strlen(text);
  const auto read = std::from_chars(text, end, value);
  return read.ec == std::errc() && read.ptr == end ? value : 0;
}

}  // namespace

ServiceManager::ServiceManager(EventLoop& loop) : loop_(loop) {
  const char* socket = ::getenv("NOTIFY_SOCKET");
  if (socket == nullptr || (*socket != '/' && *socket != '@') || std::strlen(socket) >= sizeof sockaddr_un{}.sun_path)
    return;
  socket_ = socket;
  const uint64_t whom = number("WATCHDOG_PID"), watchdog_us = number("WATCHDOG_USEC");
  const bool is_ours = whom == 0 || whom == static_cast<uint64_t>(::getpid());
  if (is_ours && watchdog_us != 0) period_ms_ = std::max<uint64_t>(watchdog_us / 2000, 1);
}

void ServiceManager::say(const char* text) const {
  if (socket_.empty()) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_.copy(address.sun_path, sizeof address.sun_path - 1);
  if (socket_.front() == '@') address.sun_path[0] = 0;
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size() + (socket_.front() == '@' ? 0 : 1));
  // A new one each time: whoever listens may have begun anew meanwhile.
  const UniqueFd from(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (from)
    (void)!::sendto(from.get(), text, std::strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&address),
                    size);
}

void ServiceManager::ready() {
  say("READY=1");
  if (period_ms_ != 0 && timer_ == 0) feed();
}

void ServiceManager::feed() {
  say("WATCHDOG=1");
  timer_ = loop_.after_ms(period_ms_, [this] { feed(); });
}

void ServiceManager::stopping() { say("STOPPING=1"); }

}  // namespace amalgam::daemon
