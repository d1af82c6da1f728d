// SPDX-License-Identifier: Apache-2.0
// ImageTwin: memory of the driver's own that stands in for a buffer in memory of ours, under the images over that buffer.
//
// Some drivers make no image over a buffer that lies in the host's memory (rusticl 22.3 says CL_INVALID_OPERATION), and
// every shared region is such a buffer. An image over it is made over the twin, and a command on the image becomes three:
//
//   copy buffer ─▶ twin ─▶ the command ─▶ copy twin ─▶ buffer
//
// Nobody can tell but by the time it takes: OpenCL defines nothing for a buffer that is used while a command writes to an
// image over it, or the reverse. Rejected: staging for all regions of such devices, which every program would pay for.
//
// Threads: dispatcher. Lifetime: kept by its images and by kernels that have one as an argument; it keeps the buffer.
#pragma once

#include <memory>
#include <vector>

#include "south/device/opencl/owned.h"

namespace amalgam::south::opencl {

class ImageTwin {
 public:
  /// A twin of `original`, which lies in memory of ours.
  static Result<std::shared_ptr<ImageTwin>> make(const Platform& platform, cl_context context, cl_mem original);

  ImageTwin(Owned<cl_mem> original, Owned<cl_mem> twin, uint64_t bytes)
      : original_(std::move(original)), twin_(std::move(twin)), bytes_(bytes) {}

  cl_mem handle() const { return twin_.get(); }
  uint64_t bytes() const { return bytes_; }

  /// Enqueues the copy before a command on an image, or the one after it; the copy's event.
  Result<cl_event> enter(const Platform& platform, cl_command_queue queue, cl_uint count, const cl_event* waits) const;
  Result<cl_event> leave(const Platform& platform, cl_command_queue queue, cl_uint count, const cl_event* waits) const;

 private:
  const Owned<cl_mem> original_, twin_;
  const uint64_t bytes_;
};

using TwinPtr = std::shared_ptr<const ImageTwin>;
/// Those of one command, each once.
using Twins = std::vector<TwinPtr>;

}  // namespace amalgam::south::opencl
