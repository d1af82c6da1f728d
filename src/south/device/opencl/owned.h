// SPDX-License-Identifier: Apache-2.0
// Owned<H>: one reference to an OpenCL object, given back on destruction. The driver itself keeps what pending commands
// need, so releasing early is right in every order.
//
// Threads: a plain value. Movable, not copyable.
#pragma once

#include <utility>

#include "south/device/opencl/driver.h"

namespace amalgam::south::opencl {

inline void release(cl_context h) { table_of(h).clReleaseContext(h); }
inline void release(cl_command_queue h) { table_of(h).clReleaseCommandQueue(h); }
inline void release(cl_mem h) { table_of(h).clReleaseMemObject(h); }
inline void release(cl_sampler h) { table_of(h).clReleaseSampler(h); }
inline void release(cl_program h) { table_of(h).clReleaseProgram(h); }
inline void release(cl_kernel h) { table_of(h).clReleaseKernel(h); }
inline void release(cl_event h) { table_of(h).clReleaseEvent(h); }
/// Only ever for sub-devices, which have the entry. Later: see device.cc.
void release(cl_device_id h);

template <typename H>
class Owned {
 public:
  Owned() = default;
  explicit Owned(H handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != nullptr) release(handle_);
  }

  H get() const { return handle_; }

 private:
  H handle_ = nullptr;
};

}  // namespace amalgam::south::opencl
