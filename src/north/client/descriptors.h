// SPDX-License-Identifier: Apache-2.0
// Descriptors: whether those that came with SessionOpened are what the client takes them for, before it uses one.
//
// Of each it is asked what could go wrong later: a memory that shrinks or is too small kills whoever touches it, a
// descriptor that is no eventfd may block whoever knocks or raise SIGPIPE, one that is no socket never says that the worker
// has gone.
//
// Threads: any. Blocking: never.
#pragma once

#include <cstdint>

#include "base/unique_fd.h"
#include "protocol/control/channel.h"

namespace amalgam::client {

/// kProtocol: one is not what it should be, or there is no heap with staging that fits into its `heap_bytes`.
Result<void> check_descriptors(const protocol::ReceivedDescriptors<protocol::SessionOpened>& fds, uint64_t heap_bytes);

/// A descriptor that we keep in a foreign process. Programs close descriptors that they do not know, and then their own
/// files have the numbers; so before each use it is asked whether it is still the same.
///
/// Threads: get() from any.
class KeptDescriptor {
 public:
  KeptDescriptor() = default;
  explicit KeptDescriptor(UniqueFd fd);
  KeptDescriptor(KeptDescriptor&& other) noexcept = default;
  KeptDescriptor& operator=(KeptDescriptor&& other) noexcept;
  ~KeptDescriptor() { let_go(); }
  /// -1: the program has closed it, or there is none.
  int get() const;

 private:
  struct Identity {
    uint64_t device = 0, inode = 0;
    int mark = 0;  ///< eventfds have all the same inode (protocol::kKnockMark)
    bool operator==(const Identity&) const = default;
  };
  static Identity identity_of(int fd);
  void let_go();

  UniqueFd fd_;
  Identity identity_;
};

}  // namespace amalgam::client
