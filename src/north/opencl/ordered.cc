// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/ordered.h"

namespace amalgam::opencl {
namespace {

/// On unordered queues a marker without waits would come behind everything; the last barrier is all that counts.
void wait_for_barrier(cl_command_queue queue, WaitList& waits) {
  cl_event barrier = nullptr;
  {
    std::lock_guard lock(queue->mutex);
    if (queue->barrier == nullptr) return;
    barrier = static_cast<cl_event>(queue->barrier);
    barrier->client::Event::retain();
  }
  waits.take_own(barrier);
  barrier->client::Event::release();
}

}  // namespace

cl_int ordered(cl_command_queue queue, WaitList& waits, cl_uint count, const cl_event* events, cl_command_type type,
               bool blocking, cl_event* out) {
  if (blocking) return host_command(queue, waits, count, events, type, true, [] { return 0; }, out);
  if (!queue->in_order && waits.clear()) wait_for_barrier(queue, waits);
  {
    std::lock_guard lock(queue->mutex);
    if (queue->session->dead()) return queue->session->death_status();
    if (in_turn(queue, waits)) {
      if (out != nullptr) give_local_event(queue, type, protocol::monotonic_ns(), out);
      return CL_SUCCESS;
    }
  }
  // Nobody can tell when it ends, and whatever comes later is behind the same commands.
  if (out == nullptr && waits.clear()) return CL_SUCCESS;
  protocol::Marker marker;
  return submit(queue, marker, waits, type, out, false);
}

}  // namespace amalgam::opencl
