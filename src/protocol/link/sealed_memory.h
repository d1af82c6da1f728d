// SPDX-License-Identifier: Apache-2.0
// Sealed memory: what a descriptor from another process must be before it is mapped.
//
// A file that can still be made smaller, or that is not plain anonymous memory (a disk that ends, huge pages that run out),
// kills whoever touches the part that is not there, whenever the other process likes. So: a memfd that is sealed against
// shrinking. The seal is looked at first: from then on the size that is read can only grow.
//
// Threads: any. Blocking: never.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace amalgam::protocol {

/// Bytes of an anonymous memory that nobody can make smaller. kProtocol: the descriptor is anything else.
Result<uint64_t> sealed_bytes(int fd);

}  // namespace amalgam::protocol
