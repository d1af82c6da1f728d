// SPDX-License-Identifier: Apache-2.0
// AMALGAM_ASSERT: a broken invariant of *ours* traps, in every build. Never used on input from a peer, and never in a
// foreign process (north/client, north/opencl): there the session ends with an API error instead.
#pragma once

#define AMALGAM_ASSERT(condition)  \
  do {                             \
    if (!(condition)) [[unlikely]] \
      __builtin_trap();            \
  } while (0)
