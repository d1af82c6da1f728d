// SPDX-License-Identifier: Apache-2.0
// KernelFacts: everything that the driver has said of a kernel, by name, for as long as the program stays built.
//
// Programs make the same kernel again and again, ask it the same questions and set the same kinds of arguments; the driver's
// answers cannot change in between, so it is asked once. All tables are bounded: full, they are forgotten and filled anew.
//
// Threads: `arg_count` and `limits` are constant after creation; everything else under `mutex`.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include "north/opencl/objects.h"

namespace amalgam::opencl {

struct KernelFacts {
  static constexpr size_t kMostRemembered = 1024;

  struct Answer {
    cl_int code = CL_SUCCESS;
    client::Payload bytes;
  };
  /// What the verdict on an argument depends on: index, kind, size, detail.
  using Setting = std::tuple<uint32_t, protocol::ArgKind, uint64_t, uint64_t>;
  /// Target, device id, parameter, index, input.
  using Question = std::tuple<protocol::QueryTarget, protocol::ObjectId, uint32_t, uint32_t, std::vector<std::byte>>;

  cl_uint arg_count = 0;
  std::map<cl_device_id, _cl_kernel::Limits> limits;
  std::mutex mutex;
  std::vector<std::optional<_cl_kernel::Arg::Class>> classes;
  std::map<Setting, cl_int> verdicts;
  std::map<Question, Answer> answers;
};

/// True for codes that say something of the request, not of the moment.
inline bool is_lasting(cl_int code) {
  return code == CL_SUCCESS || code <= CL_INVALID_VALUE || code == CL_KERNEL_ARG_INFO_NOT_AVAILABLE;
}

/// The driver's answer to a question about the kernel; from memory if it was asked before.
KernelFacts::Answer ask_kernel(cl_kernel kernel, const protocol::Query& query);

}  // namespace amalgam::opencl
