// SPDX-License-Identifier: Apache-2.0
// Staged boxes: rectangles of regions on the device, and images, to and from the program's memory through staging.
//
// As staged.h for linear ranges: pieces that fit, each packed in staging, chained so that their order is kept on any queue.
// The event of the call is the last piece's.
//
//   read:   image ──Transfer──▶ staging ──copy_box, here, in the queue's order──▶ program
//   write:  program ──copy_box, now──▶ staging ──Transfer──▶ image
//
// Threads: as every entry point.
#pragma once

#include "north/opencl/box.h"
#include "north/opencl/enqueue.h"

namespace amalgam::opencl {

/// The device's end of a box. `place.origin` is where the box begins.
struct DeviceBox {
  protocol::Endpoint place;
  std::array<uint64_t, 3> extent{};  ///< elements, rows, slices
  size_t element_bytes = 1;          ///< 1 for rectangles of buffers
};

cl_int staged_box_read(cl_command_queue queue, const DeviceBox& from, std::byte* to, Pitches pitches, bool blocking,
                       WaitList& waits, cl_command_type type, cl_event* event);
cl_int staged_box_write(cl_command_queue queue, const DeviceBox& to, const std::byte* from, Pitches pitches, bool blocking,
                        WaitList& waits, cl_command_type type, cl_event* event);

}  // namespace amalgam::opencl
