// SPDX-License-Identifier: Apache-2.0
// TopFrame: one picture of the pool, made from two snapshots of its counters.
//
// Busy is device time that passed between the snapshots over wall time. It may pass 100 % where a device runs several
// commands side by side. A session that is new, or a daemon that came back, has no earlier count: its share is of its whole
// age.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "north/cli/console.h"
#include "protocol/control/control.h"

namespace amalgam::cli {

struct Snapshot {
  uint64_t at_ns = 0;  ///< monotonic
  std::vector<protocol::DeviceEntry> devices;
  std::vector<protocol::SessionEntry> sessions;
};

enum class SortBy : uint8_t { kTime, kMemory, kCommands };

struct FrameOptions {
  Size size{100, 0};  ///< rows 0: all of them
  bool utf8 = true;
  SortBy sort = SortBy::kTime;
  std::string notice;  ///< shown in the second line, e.g. that the daemon is away
};

enum class Tone : uint8_t { kPlain, kTitle, kHead, kNotice };

struct FrameLine {
  std::string text;  ///< at most `size.columns` wide
  Tone tone = Tone::kPlain;
};

/// Never more than size.rows lines. `before` may be null: the first frame.
std::vector<FrameLine> top_frame(const Snapshot& now, const Snapshot* before, const FrameOptions& options);

}  // namespace amalgam::cli
