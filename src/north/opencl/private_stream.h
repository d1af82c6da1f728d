// SPDX-License-Identifier: Apache-2.0
// PrivateStream: a stream of our own, for content that a creation brings to a region on the device (CL_MEM_COPY_HOST_PTR),
// which has no queue of the program and must not wait behind one; and for what a queue carries while a gate holds it.
//
// Threads: used by the thread that made it. Blocking: the constructor waits for the worker.
#pragma once

#include "north/opencl/enqueue.h"

namespace amalgam::opencl {

class PrivateStream {
 public:
  PrivateStream(cl_context context, cl_device_id device);
  ~PrivateStream();
  PrivateStream(const PrivateStream&) = delete;
  PrivateStream& operator=(const PrivateStream&) = delete;

  /// CL_SUCCESS, or why there is none.
  cl_int state() const { return state_; }
  client::Stream& stream() { return stream_; }

 private:
  client::Stream stream_;
  cl_int state_ = CL_SUCCESS;
};

/// The stream for what the queue carries when its turn has come (carry.h), made for the first such command; null if the
/// worker does not make one. On the service thread only.
client::Stream* carrier_of(cl_command_queue queue);

}  // namespace amalgam::opencl
