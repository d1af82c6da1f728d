// SPDX-License-Identifier: Apache-2.0
// Planner: the door to the front end, which lives in a library of its own, libamalgam_split.so.
//
// Why a library of its own: it holds a whole compiler front end, which a worker needs for few programs and must not pay for
// at its start; and a vendor's driver in the same process often brings another version of the same compiler. The library
// links its own statically, exports one C function and is opened RTLD_LOCAL, so neither can see the other's symbols.
//
//     PlanRequest ──encode──▶ amalgam_split_plan(bytes) ──▶ preprocess · parse · judge · rewrite ──bytes──▶ decode ──▶
//     SplitPlan
//
// Threads: `plan` may be called from any number of threads at once; each call runs the front end on a thread of its own with
// a stack of kSplitStackBytes, and waits for it (milliseconds; a second for the largest programs). The library is never
// unloaded.
#pragma once

#include <string>

#include "base/error.h"
#include "core/split/plan.h"

namespace amalgam::split {

/// The file name of the front end's library, beside the other libraries of an installation.
inline constexpr char kSplitLibrary[] = "libamalgam_split.so";

class Planner {
 public:
  /// Opens the library. kNotFound: it is not there, or is of another version.
  static Result<Planner> open(const std::string& library_path);

  /// Judges every kernel of a program. A program that the front end does not understand is an answer (whole_because), not an
  /// error. kLimit: the program or the answer passes kMaxSplitBytes; kInternal: the front end's answer cannot be read.
  Result<SplitPlan> plan(const ProgramText& program, const DeviceTraits& traits) const;

 private:
  using Reply = void (*)(void* context, const void* bytes, size_t size);
  using Entry = int (*)(const void* request, size_t size, Reply reply, void* context);
  explicit Planner(Entry entry) : entry_(entry) {}
  Entry entry_;
};

}  // namespace amalgam::split
