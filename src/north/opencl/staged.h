// SPDX-License-Identifier: Apache-2.0
// Staged transfers: bytes between program memory and regions that live on the device, through the heap's staging.
//
// Large ranges go in pieces of at most kPiece, so that a few transfers overlap and no request is too large for staging.
// The program's bytes are taken and given in the queue's order, at once or by a gate: a write may send what a read before
// it has brought, or what the program puts there before it lets a user event go.
//
// Threads: as every entry point. The events are the program's own.
#pragma once

#include "north/opencl/enqueue.h"

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

/// Reads `size` bytes at the linear endpoint `from` into `out`.
cl_int staged_read(cl_command_queue queue, protocol::Endpoint from, size_t size, void* out, bool blocking, WaitList& waits,
                   cl_command_type type, cl_event* event);
/// Writes `size` bytes at `data` to the linear endpoint `to`.
cl_int staged_write(cl_command_queue queue, protocol::Endpoint to, size_t size, const void* data, bool blocking,
                    WaitList& waits, cl_command_type type, cl_event* event);

/// A staging block of `size`; waits for room (other transfers end) for a bounded time. Not ok(): there is none.
client::StagedBlock take_staging(client::Session& session, size_t size);
/// Gives a block back when the event ends.
void free_when_done(client::Event& event, client::Session& session, client::StagedBlock block);

/// Has `work` fill a staging block in the queue's order. Afterwards `waits` is what the transfer of that block waits for.
template <typename Work>
cl_int fill_staging(cl_command_queue queue, WaitList& waits, cl_command_type type, Work work) {
  cl_event filled = nullptr;
  if (cl_int bad = host_command(queue, waits, 0, nullptr, type, false, std::move(work), &filled); bad != CL_SUCCESS)
    return bad;
  waits = WaitList();
  cl_int bad = waits.take(queue->context, 1, &filled);
  drop_event(filled);
  return bad;
}

}  // namespace amalgam::opencl
