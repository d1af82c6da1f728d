// SPDX-License-Identifier: Apache-2.0
// attach: descriptors that travel with a message of a Unix socket.
//
// Threads: any. Needs no memory.
#pragma once

#include <sys/socket.h>

#include <cstring>
#include <span>

namespace amalgam::protocol {

/// Lets `message` carry descriptors. `room`: CMSG_SPACE of all of them or more, aligned as a cmsghdr, zeroed; it must stay
/// until the message is sent. None: nothing changes.
inline void attach(msghdr& message, std::span<char> room, std::span<const int> fds) {
  if (fds.empty()) return;
  message.msg_control = room.data();
  message.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
}

}  // namespace amalgam::protocol
