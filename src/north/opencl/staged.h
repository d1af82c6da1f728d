// SPDX-License-Identifier: Apache-2.0
// Staged transfers: bytes between program memory and regions that live on the device, through the heap's staging (carry.h).
//
// Threads: as every entry point. The events are the program's own.
#pragma once

#include "north/opencl/carry.h"

namespace amalgam::opencl {

/// Keeps a memory object alive; copyable, for work that runs later.
class MemHold {
 public:
  explicit MemHold(cl_mem mem) : mem_(retained(mem)) {}
  MemHold(const MemHold& other) : mem_(retained(other.mem_)) {}
  MemHold& operator=(const MemHold&) = delete;
  ~MemHold() { drop(mem_); }
  cl_mem mem() const { return mem_; }

 private:
  cl_mem mem_;
};

/// A sub-buffer whose offset does not suit the queue's device.
bool misaligned(cl_command_queue queue, cl_mem buffer);

/// A place in a buffer, as an end of a transfer.
protocol::Endpoint region_end(cl_mem buffer, size_t offset);

/// Reads `size` bytes of the buffer, from `offset`, into `out`.
cl_int staged_read(const CarryCommand& command, cl_mem buffer, size_t offset, size_t size, void* out, WaitList& waits,
                   cl_event* event);
/// Writes `size` bytes at `data` to the buffer, from `offset`.
cl_int staged_write(const CarryCommand& command, cl_mem buffer, size_t offset, size_t size, const void* data,
                    WaitList& waits, cl_event* event);

/// The whole of a new buffer, at `data`.
std::shared_ptr<const Carry> staged_content(cl_mem buffer, const void* data);

}  // namespace amalgam::opencl
