// SPDX-License-Identifier: Apache-2.0
// The bare OpenCL driver, used as the worker will use it: what it says about itself, its macro probe, kernels whole and in
// pieces.
//
// A kernel of these tests has the arguments (global ulong* out, uint seed[, local ulong* scratch]); `out` and `scratch` have
// room for kOutWords and kScratchWords. A call that the driver refuses throws Refusal.
//
// Threads: one.
#pragma once

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 300
#endif
#include <CL/cl.h>

#include <cstdint>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/split/cut.h"
#include "core/split/plan.h"

namespace amalgam::split_tests {

inline constexpr size_t kOutWords = 8192;
inline constexpr size_t kScratchWords = 256;

struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Words = std::vector<uint64_t>;

class Kernel {
 public:
  Kernel(cl_program program, cl_kernel kernel) : program_(program), kernel_(kernel) {}
  Kernel(Kernel&& other) noexcept
      : program_(std::exchange(other.program_, nullptr)), kernel_(std::exchange(other.kernel_, nullptr)) {}
  Kernel& operator=(Kernel&&) = delete;
  ~Kernel();
  cl_kernel get() const { return kernel_; }

 private:
  cl_program program_;
  cl_kernel kernel_;
};

class Driver {
 public:
  /// The first CPU device of any platform.
  Driver();
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  /// What plan() must know, with the standard macros and `names` as the driver's compiler has them under these options.
  /// Asked of the driver once.
  const split::DeviceTraits& traits(const std::string& options, const std::vector<std::string>& names = {});

  Kernel build(const std::string& source, const std::string& options, const std::string& name) const;

  /// The result of one launch.
  Words run_whole(const Kernel& kernel, uint32_t arguments, const split::Range& range) const;
  /// The result of a launch in pieces of so many groups; `is_variant`: the kernel takes a Piece.
  Words run_pieces(const Kernel& kernel, uint32_t arguments, const split::Range& range, uint64_t piece_groups,
                   bool is_variant) const;

 private:
  split::DeviceTraits find_traits(const std::string& options, const std::vector<std::string>& names) const;
  cl_mem set_arguments(const Kernel& kernel, uint32_t arguments) const;
  void enqueue(const Kernel& kernel, const split::Range& range) const;
  Words take(cl_mem out) const;
  std::string text(cl_device_info what) const;

  std::map<std::pair<std::string, std::vector<std::string>>, split::DeviceTraits> known_traits_;
  cl_device_id device_ = nullptr;
  cl_context context_ = nullptr;
  cl_command_queue queue_ = nullptr;
};

}  // namespace amalgam::split_tests
