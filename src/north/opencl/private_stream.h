// SPDX-License-Identifier: Apache-2.0
// PrivateStream: a stream of our own for content that a creation brings to a region on the device (CL_MEM_COPY_HOST_PTR).
//
// A creation has no queue of the program, and must not wait behind one. The stream lives for one creation: only devices with
// memory of their own need it, and there the copy is what costs.
//
// Threads: used by the thread that made it. Blocking: finish() waits for the copies.
#pragma once

#include "north/opencl/box.h"
#include "north/opencl/enqueue.h"

namespace amalgam::opencl {

class PrivateStream {
 public:
  explicit PrivateStream(cl_context context);
  ~PrivateStream();
  PrivateStream(const PrivateStream&) = delete;
  PrivateStream& operator=(const PrivateStream&) = delete;

  /// Enqueues one transfer behind the earlier ones; the driver's verdict.
  cl_int add(protocol::Transfer& transfer);
  /// Waits until all of them have ended.
  cl_int finish();

 private:
  client::Stream stream_;
  cl_int state_ = CL_SUCCESS;
};

/// Writes a box of the program's memory to an image that nobody uses yet.
cl_int push_image(cl_mem image, const std::byte* data, Pitches pitches);

}  // namespace amalgam::opencl
