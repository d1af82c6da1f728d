// SPDX-License-Identifier: Apache-2.0
// The kernels that the sim can run. A "uint" below is 32 bits; an out-of-bounds access ends the launch with
// CL_OUT_OF_RESOURCES and touches nothing beyond.
//
//   fill_index(global uint* out)                    out[n] = x + 1000 y + 1000000 z of the n-th work-item's global id
//   add(global uint* a, global uint* b, global uint* c)      c[x] = a[x] + b[x]
//   copy(global uint* from, global uint* to)                 to[x] = from[x]
//   scale(global uint* data, uint factor)                    data[x] *= factor
//   reverse(global uint* data, local uint* scratch)          each work-group's part backwards
//   is_null(global uint* maybe, global uint* out)            out[0] = 1 if the region is null, else 0
//   spin(ulong ns)                                           takes ns of virtual time
//
// Threads: pure, but for the memory that they are given.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "south/device/sim/region.h"

namespace amalgam::south::sim {

/// What an argument must be.
enum class ArgNeed : uint8_t { kMemory, kUint, kUlong, kLocal };

/// An argument's value at the time of the launch.
struct ArgValue {
  bool is_set = false;
  protocol::ArgKind kind = protocol::ArgKind::kBytes;
  uint64_t size = 0;
  Bytes bytes;
  Extent memory;
};

struct Builtin {
  std::string_view name;
  std::span<const ArgNeed> needs;
  int32_t (*run)(const LaunchRange& range, const std::vector<ArgValue>& args);
};

/// Null if there is no such kernel.
const Builtin* find_builtin(std::string_view name);
/// All names, in the order above.
std::vector<std::string_view> builtin_names();
/// What `spin` asks for; 0 for the others.
uint64_t extra_ns(const Builtin& builtin, const std::vector<ArgValue>& args);

}  // namespace amalgam::south::sim
