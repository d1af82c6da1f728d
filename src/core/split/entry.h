// SPDX-License-Identifier: Apache-2.0
// The C door of libamalgam_split.so: one function, bytes in and bytes out, so that nothing of either side's C++ crosses it.
//
//     int amalgam_split_plan_1(const void* request, size_t size, void (*reply)(void* context, const void* bytes, size_t
//     size),
//                              void* context);
//
// `request` is an encoded PlanRequest, 8-aligned; `reply` is called once, on the calling thread, with an encoded SplitPlan,
// if the result is kAnswered. The number in the name changes with the encoding: a library of another version is then not
// found.
//
// Threads: any number at once. No exception leaves it.
#pragma once

namespace amalgam::split {

inline constexpr char kSplitEntry[] = "amalgam_split_plan_1";

enum class SplitStatus : int {
  kAnswered = 0,
  kUnreadable = 1,  ///< the request cannot be decoded
  kTooLarge = 2,    ///< the answer passes kMaxSplitBytes
  kFailed = 3,      ///< no memory, no thread
};

}  // namespace amalgam::split
