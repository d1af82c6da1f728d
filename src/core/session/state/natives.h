// SPDX-License-Identifier: Apache-2.0
// Native codes that the core itself answers with, where no driver was asked: the Khronos numbers of the waist.
#pragma once

#include <cstdint>

#include "core/session/state/object.h"

namespace amalgam::core::native {

inline constexpr int32_t kMemObjectAllocationFailure = -4, kOutOfResources = -5, kExecStatusErrorForEvents = -14,
                         kInvalidValue = -30, kInvalidDevice = -33, kInvalidContext = -34, kInvalidQueue = -36,
                         kInvalidHostPtr = -37, kInvalidMemObject = -38, kInvalidImageSize = -40, kInvalidSampler = -41,
                         kInvalidProgram = -44, kInvalidProgramExecutable = -45, kInvalidKernel = -48,
                         kInvalidArgIndex = -49, kInvalidArgValue = -50, kInvalidKernelArgs = -52,
                         kInvalidEventWaitList = -57, kInvalidEvent = -58, kInvalidOperation = -59, kInvalidBufferSize = -61;

/// Properties of a stream whose commands run in any order (CL_QUEUE_PROPERTIES).
inline constexpr uint64_t kOutOfOrder[] = {0x1093, 1, 0};

/// The code that says "this is no live object of that kind".
inline constexpr int32_t not_a(Kind kind) {
  switch (kind) {
    case Kind::kDevice: return kInvalidDevice;
    case Kind::kContext: return kInvalidContext;
    case Kind::kStream: return kInvalidQueue;
    case Kind::kRegion: return kInvalidMemObject;
    case Kind::kSampler: return kInvalidSampler;
    case Kind::kEvent: return kInvalidEvent;
    case Kind::kModule: return kInvalidProgram;
    case Kind::kKernel: return kInvalidKernel;
  }
  return kInvalidValue;
}

}  // namespace amalgam::core::native
