// SPDX-License-Identifier: Apache-2.0
// Arguments: checks a launch's argument block and brings the driver's kernel up to date with it.
//
// Most launches repeat the last block word for word: then only its objects are looked up again (they may have been released)
// and the driver is not asked. Otherwise only the arguments that changed are set.
//
// Safety. The driver keeps raw handles in its kernel. So a launch is refused unless its block names every argument that
// was ever set, with objects that live now: a handle of a released region can then never be used.
//
// Threads: the dispatcher.
#pragma once

#include <span>
#include <vector>

#include "base/error.h"
#include "core/session/state/object_table.h"
#include "core/session/state/objects.h"

namespace amalgam::core {

/// Where raw pointers may point: the heap as it is mapped here.
struct HeapView {
  std::byte* base = nullptr;
  uint64_t bytes = 0;
  bool holds(uint64_t address) const {
    auto begin = reinterpret_cast<uint64_t>(base);
    return address >= begin && address - begin < bytes;
  }
};

/// Applies a Launch's block; adds the objects that the launch uses to `held`. Errors: the driver's, or ours with a native
/// code.
Result<void> apply_arguments(KernelObject& kernel, std::span<const std::byte> block, const ObjectTable& table, HeapView heap,
                             std::vector<Ref<Object>>& held);

/// Applies a SetArg's single argument, always asking the driver.
Result<void> apply_one_argument(KernelObject& kernel, std::span<const std::byte> arg, const ObjectTable& table,
                                HeapView heap);

}  // namespace amalgam::core
