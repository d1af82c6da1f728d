// SPDX-License-Identifier: Apache-2.0
// Descriptors: whether those that came with SessionOpened are what the client takes them for, before it uses one.
//
// Of each it is asked what could go wrong later: a memory that shrinks or is too small kills whoever touches it, a
// descriptor that is no eventfd may block whoever knocks or raise SIGPIPE, one that is no socket never says that the worker
// has gone.
//
// Threads: any. Blocking: never.
#pragma once

#include "protocol/control/channel.h"

namespace amalgam::client {

/// kProtocol: one is not what it should be, or there is no heap with staging that fits into its `heap_bytes`.
Result<void> check_descriptors(const protocol::ReceivedDescriptors<protocol::SessionOpened>& fds, uint64_t heap_bytes);

}  // namespace amalgam::client
